"""When an utterance begins and ends, in audio time."""

import pytest

from pipeline.stt.endpointing import Began, Dropped, Ended, Endpointer, Event, Paused, Resumed
from pipeline.stt.turn_hints import Wait
from pipeline.stt.vad import FRAME_MS
from schemas.settings.listening_settings import EndpointingSettings
from tests.support.speech.recordings import said, utterances

PLAIN = EndpointingSettings(
    min_speech_ms=96, silence_ms=512, speculate_ms=192, complete_ms=320, incomplete_ms=896
)
VOICE, QUIET = 0.9, 0.05


def push(endpointer: Endpointer, *stretches: tuple[int, float]) -> list[Event]:
    return [event for probability in said(*stretches) for event in endpointer.push(probability)]


def speaking(settings: EndpointingSettings = PLAIN, *, manual: bool = False) -> Endpointer:
    """An endpointer after 640 ms of speech."""
    endpointer = Endpointer(settings, manual=manual)
    assert push(endpointer, (20, VOICE)) == [Began(0)]
    return endpointer


# ---------------------------------------------------------------- beginning


def test_an_utterance_begins_with_its_first_voiced_frame() -> None:
    assert push(Endpointer(PLAIN), (10, QUIET), (3, VOICE)) == [Began(320)]


def test_one_frame_less_than_the_least_speech_is_none() -> None:
    assert push(Endpointer(PLAIN), (10, QUIET), (2, VOICE), (5, QUIET)) == []


def test_a_blip_is_dropped_once_it_is_clear_that_nothing_follows() -> None:
    assert push(Endpointer(PLAIN), (10, QUIET), (2, VOICE), (60, QUIET)) == [Dropped(320)]


def test_blips_far_from_each_other_never_add_up() -> None:
    events = push(Endpointer(PLAIN), *[(1, VOICE), (7, QUIET)] * 40)
    assert {type(event) for event in events} == {Dropped}


def test_speech_may_begin_with_a_stammer() -> None:
    assert push(Endpointer(PLAIN), (1, VOICE), (2, QUIET), (2, VOICE)) == [Began(0)]


def test_an_input_may_go_on_anywhere() -> None:
    endpointer = Endpointer(PLAIN, at_ms=1_003)
    assert push(endpointer, (1, QUIET), (3, VOICE)) == [Began(1_035)]
    assert endpointer.at_ms == 1_003 + 4 * FRAME_MS


def test_voiced_sound_stays_voiced_a_little_below_the_threshold() -> None:
    assert push(speaking(), (60, 0.4)) == []
    assert push(Endpointer(PLAIN), (60, 0.4)) == []
    assert utterances(push(speaking(), (60, 0.3)))


# ---------------------------------------------------------------- ending


def test_an_utterance_ends_after_its_silence_and_only_once() -> None:
    assert push(speaking(), (15, QUIET)) == [Paused(640)]
    assert push(speaking(), (200, QUIET)) == [Paused(640), Ended(0, 640, 1_152, "silence")]


def test_a_pause_that_is_none_is_taken_back() -> None:
    endpointer = speaking()
    assert push(endpointer, (8, QUIET), (1, VOICE)) == [Paused(640), Resumed(896)]
    assert push(endpointer, (16, QUIET)) == [Paused(928), Ended(0, 928, 1_440, "silence")]


def test_a_short_gap_is_not_even_a_pause() -> None:
    assert push(speaking(), *[(5, QUIET), (1, VOICE)] * 10) == []


def test_without_speculation_nothing_pauses() -> None:
    endpointer = speaking(PLAIN.model_copy(update={"speculate_ms": None}))
    assert push(endpointer, (16, QUIET)) == [Ended(0, 640, 1_152, "silence")]


def test_an_utterance_that_ends_does_not_pause_as_well() -> None:
    endpointer = speaking(PLAIN.model_copy(update={"speculate_ms": 512}))
    assert push(endpointer, (16, QUIET)) == [Ended(0, 640, 1_152, "silence")]


def test_the_next_utterance_needs_as_much_speech_as_the_first() -> None:
    endpointer = speaking()
    push(endpointer, (30, QUIET))
    assert push(endpointer, (2, VOICE)) == []
    assert push(endpointer, (1, VOICE)) == [Began(1_600)]


def test_it_is_told_how_long_somebody_speaks_and_is_silent() -> None:
    endpointer = Endpointer(PLAIN)
    push(endpointer, (2, VOICE))
    assert (endpointer.speaking, endpointer.speech_ms, endpointer.silence_ms) == (False, 0, 0)
    push(endpointer, (8, VOICE), (4, QUIET))
    assert (endpointer.speaking, endpointer.speech_ms, endpointer.silence_ms) == (True, 320, 128)
    push(endpointer, (50, QUIET))
    assert (endpointer.speaking, endpointer.speech_ms) == (False, 0)


# ---------------------------------------------------------------- hints


@pytest.mark.parametrize(
    ("wait", "frames"), [("complete", 10), ("doubtful", 22), ("incomplete", 28), (None, 16)]
)
def test_the_text_shortens_or_lengthens_the_wait(wait: Wait | None, frames: int) -> None:
    endpointer = speaking(PLAIN.model_copy(update={"doubtful_ms": 700}))
    push(endpointer, (7, QUIET))
    endpointer.expect(wait)
    assert utterances(push(endpointer, (frames - 8, QUIET))) == []
    assert utterances(push(endpointer, (1, QUIET))) == [Ended(0, 640, 640 + 32 * frames, "silence")]


def test_a_hint_that_comes_late_ends_it_with_the_next_frame() -> None:
    endpointer = speaking()
    push(endpointer, (14, QUIET))
    endpointer.expect("complete")
    assert utterances(push(endpointer, (1, QUIET))) == [Ended(0, 640, 1_120, "silence")]


def test_a_hint_is_forgotten_when_the_speaker_goes_on() -> None:
    endpointer = speaking()
    push(endpointer, (7, QUIET))
    endpointer.expect("complete")
    push(endpointer, (1, VOICE))
    assert utterances(push(endpointer, (15, QUIET))) == []


def test_a_hint_about_what_is_still_being_said_does_not_count() -> None:
    endpointer = speaking()
    endpointer.expect("complete")
    assert utterances(push(endpointer, (15, QUIET))) == []


def test_a_hint_can_be_taken_back() -> None:
    endpointer = speaking()
    push(endpointer, (7, QUIET))
    endpointer.expect("complete")
    endpointer.expect(None)
    assert utterances(push(endpointer, (8, QUIET))) == []


def test_hints_are_ignored_where_they_are_not_wanted() -> None:
    endpointer = speaking(PLAIN.model_copy(update={"hint": False}))
    push(endpointer, (7, QUIET))
    endpointer.expect("complete")
    assert utterances(push(endpointer, (8, QUIET))) == []


def test_a_hint_never_makes_the_wait_worse_than_its_name() -> None:
    """`complete` never lengthens and `incomplete` never shortens, whatever the settings say."""
    settings = PLAIN.model_copy(update={"complete_ms": 900, "doubtful_ms": 100, "incomplete_ms": 100})
    waits: tuple[Wait, ...] = ("complete", "doubtful", "incomplete")
    for wait in waits:
        endpointer = speaking(settings)
        push(endpointer, (1, QUIET))
        endpointer.expect(wait)
        assert utterances(push(endpointer, (14, QUIET))) == []
        assert utterances(push(endpointer, (1, QUIET)))


# ---------------------------------------------------------------- commands


def test_a_commit_ends_it_at_the_last_sound() -> None:
    endpointer = speaking()
    push(endpointer, (3, QUIET))
    assert endpointer.commit() == [Ended(0, 640, 736, "commit")]
    assert endpointer.commit() == []


def test_a_speaker_who_speaks_on_after_a_commit_begins_anew() -> None:
    endpointer = speaking()
    assert endpointer.commit() == [Ended(0, 640, 640, "commit")]
    assert push(endpointer, (3, VOICE)) == [Began(640)]


def test_pushed_to_talk_no_silence_ends_it() -> None:
    endpointer = speaking(manual=True)
    assert push(endpointer, (300, QUIET)) == [Paused(640)]
    assert push(endpointer, (1, VOICE), (10, QUIET)) == [Resumed(10_240), Paused(10_272)]
    assert endpointer.commit() == [Ended(0, 10_272, 10_592, "commit")]


def test_pushed_to_talk_without_a_word_is_nothing() -> None:
    endpointer = Endpointer(PLAIN, manual=True)
    assert endpointer.commit() == []
    push(endpointer, (50, QUIET))
    assert endpointer.commit() == []


def test_too_little_to_be_speech_is_dropped_by_a_commit() -> None:
    endpointer = Endpointer(PLAIN, manual=True)
    push(endpointer, (5, QUIET), (2, VOICE))
    assert endpointer.commit() == [Dropped(160)]


def test_closing_ends_what_is_running() -> None:
    endpointer = speaking()
    assert endpointer.close() == [Ended(0, 640, 640, "closed")]
    assert endpointer.close() == []


def test_cleared_speech_was_never_said() -> None:
    endpointer = speaking()
    endpointer.clear()
    assert not endpointer.speaking
    assert push(endpointer, (50, QUIET)) == []
    assert endpointer.at_ms == 70 * FRAME_MS


# ---------------------------------------------------------------- too long

SHORT = PLAIN.model_copy(update={"max_utterance_s": 3.2})


def test_an_utterance_that_is_too_long_is_cut_where_it_is_quietest() -> None:
    events = push(Endpointer(SHORT), (70, VOICE), (1, 0.6), (29, VOICE))
    assert events == [Began(0), Ended(0, 2_240, 3_200, "max_length"), Began(2_240)]


def test_a_cut_in_a_gap_leaves_the_gap_out() -> None:
    events = push(Endpointer(SHORT), (70, VOICE), (4, QUIET), (26, VOICE))
    assert events == [Began(0), Ended(0, 2_240, 3_200, "max_length"), Began(2_368)]


def test_only_the_last_seconds_are_looked_at() -> None:
    events = push(Endpointer(SHORT), (20, VOICE), (1, 0.4), (79, VOICE))
    assert isinstance(events[1], Ended)
    assert events[1].end_ms >= 1_600


def test_speech_after_a_cut_is_an_utterance_like_any_other() -> None:
    endpointer = Endpointer(SHORT)
    push(endpointer, (70, VOICE), (4, QUIET), (26, VOICE))
    assert (endpointer.speaking, endpointer.speech_ms) == (True, 26 * FRAME_MS)
    assert push(endpointer, (20, QUIET))[-1] == Ended(2_368, 3_200, 3_712, "silence")


def test_silence_at_the_limit_ends_it_as_silence_does() -> None:
    events = push(Endpointer(SHORT), (95, VOICE), (30, QUIET))
    assert utterances(events) == [Ended(0, 3_040, 3_552, "silence")]


def test_silence_at_the_limit_that_is_none_is_where_it_is_cut() -> None:
    events = push(Endpointer(SHORT), (95, VOICE), (10, QUIET), (1, VOICE))
    assert events[1:] == [Paused(3_040), Resumed(3_360), Ended(0, 3_040, 3_392, "max_length"), Began(3_360)]


def test_pushed_to_talk_a_long_silence_is_an_end_after_all() -> None:
    events = push(Endpointer(SHORT, manual=True), (20, VOICE), (200, QUIET))
    assert utterances(events) == [Ended(0, 640, 3_200, "max_length")]
