"""Decisions of the endpointer are consistent, whatever a microphone hears."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.stt.endpointing import Began, Dropped, Ended, Endpointer, Event, Paused, Resumed
from pipeline.stt.vad import FRAME_MS
from schemas.settings.listening_settings import EndpointingSettings
from tests.support.speech.recordings import said, told, utterances

# ---------------------------------------------------------------- whatever happens

frame_probabilities = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.3, 0.36, 0.4, 0.49, 0.5, 0.6, 0.9, 1.0])),
    max_size=40,
).map(lambda stretches: said(*stretches))
settings_ = st.builds(
    EndpointingSettings,
    threshold=st.sampled_from([0.1, 0.5, 0.9]),
    min_speech_ms=st.integers(32, 400),
    silence_ms=st.integers(100, 1_000),
    max_utterance_s=st.floats(2.0, 6.0),
    speculate_ms=st.none() | st.integers(64, 1_200),
)
FOLLOWS: dict[type | None, set[type]] = {
    None: {Began, Dropped},
    Dropped: {Began, Dropped},
    Began: {Paused, Ended},
    Paused: {Resumed, Ended},
    Resumed: {Paused, Ended},
    Ended: {Began, Dropped},
}


def voiced_frames(heard: list[float], threshold: float) -> list[int]:
    """Beginnings of the frames that count as speech."""
    found, voiced = [], False
    for number, probability in enumerate(heard):
        voiced = probability >= (max(threshold - 0.15, 0.01) if voiced else threshold)
        if voiced:
            found.append(number * FRAME_MS)
    return found


@settings(deadline=None)
@given(frame_probabilities, settings_, st.booleans())
def test_events_come_in_order(heard: list[float], settings: EndpointingSettings, manual: bool) -> None:
    events = told(heard, settings, manual=manual)
    kinds = [None, *(type(event) for event in events)]
    assert all(later in FOLLOWS[earlier] for earlier, later in pairwise(kinds) if later)
    assert not events or isinstance(events[-1], Ended | Dropped)
    ended = utterances(events)
    assert all(each.start_ms < each.end_ms <= each.at_ms for each in ended)
    assert all(earlier.end_ms <= later.start_ms for earlier, later in pairwise(ended))
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(ended))


@settings(deadline=None)
@given(frame_probabilities, settings_, st.booleans())
@example(said((1, 0.9), (9, 0.0)), EndpointingSettings(min_speech_ms=300), False)
def test_no_decision_waits_for_frames_that_are_collected(
    heard: list[float], settings: EndpointingSettings, manual: bool
) -> None:
    endpointer, left = Endpointer(settings, manual=manual), list(heard)
    while left:
        together = endpointer.frames_together
        block, left = left[:together], left[together:]
        assert not any([endpointer.push(probability) for probability in block][: together - 1])


@settings(deadline=None)
@given(frame_probabilities, settings_, st.booleans())
def test_every_voiced_frame_is_in_one_utterance_or_in_none(
    heard: list[float], settings: EndpointingSettings, manual: bool
) -> None:
    ended = utterances(told(heard, settings, manual=manual))
    for at_ms in voiced_frames(heard, settings.threshold):
        inside = [each for each in ended if each.start_ms < at_ms + FRAME_MS and at_ms < each.end_ms]
        assert all(each.start_ms <= at_ms and at_ms + FRAME_MS <= each.end_ms for each in inside)
        assert len(inside) <= 1
        # Between the beginning and what is known of the end, nothing voiced is left out.
        assert inside or not any(each.start_ms <= at_ms < each.at_ms for each in ended)


@settings(deadline=None)
@given(frame_probabilities, settings_)
def test_an_utterance_begins_and_ends_with_something_voiced(
    heard: list[float], settings: EndpointingSettings
) -> None:
    voiced = set(voiced_frames(heard, settings.threshold))
    for each in utterances(told(heard, settings)):
        assert each.start_ms in voiced
        assert each.end_ms - FRAME_MS in voiced


@settings(deadline=None)
@given(frame_probabilities, settings_, st.booleans())
def test_no_utterance_is_longer_than_the_longest(
    heard: list[float], settings: EndpointingSettings, manual: bool
) -> None:
    for each in utterances(told(heard, settings, manual=manual)):
        assert each.end_ms - each.start_ms < 1_000 * settings.max_utterance_s + FRAME_MS


@settings(deadline=None)
@given(frame_probabilities, settings_, st.integers(0, 100_000))
def test_when_it_is_said_changes_nothing_but_the_times(
    heard: list[float], settings: EndpointingSettings, at_ms: int
) -> None:
    later = Endpointer(settings, at_ms=at_ms)
    events = [event for probability in heard for event in later.push(probability)] + later.close()
    earlier = told(heard, settings)
    assert [moved(event, at_ms) for event in earlier] == events


def moved(event: Event, by_ms: int) -> Event:
    return replace(
        event, **{name: getattr(event, name) + by_ms for name in event.__slots__ if name != "reason"}
    )


@settings(deadline=None)
@given(frame_probabilities, settings_, st.integers(0, 200))
def test_speech_before_a_clear_has_no_consequences(
    heard: list[float], settings: EndpointingSettings, cleared: int
) -> None:
    endpointer = Endpointer(settings)
    for probability in heard[:cleared]:
        endpointer.push(probability)
    endpointer.push(0.0)
    endpointer.clear()
    fresh = Endpointer(settings, at_ms=endpointer.at_ms)
    for probability in heard[cleared:]:
        assert endpointer.push(probability) == fresh.push(probability)
    assert endpointer.close() == fresh.close()
