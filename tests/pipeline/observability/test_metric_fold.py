"""Numbers are the same whoever works them out: one by one as things happen, or from the whole log again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.observability import metric_fold, metric_names, turn_metrics
from pipeline.observability.metric_fold import MEASURED, SessionMeter, measured, recounted
from pipeline.observability.tally import Tally, quantile
from pipeline.observability.turn_metrics import TurnMeter
from schemas.events import (
    TRIGGERS,
    PlaybackEnded,
    PlaybackHeard,
    PlaybackPaused,
    PlaybackResumed,
    SessionStarted,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnResumed,
    TurnStarted,
)
from schemas.events.recorded import Recorded
from schemas.events.turn_events import SentenceVoiced
from schemas.events.voice_events import TranscriptFinal
from schemas.ids import Seq, SessionId
from tests.pipeline.observability.event_sequences import BEGAN_MS, SETTINGS, Telling, tellings
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


class Told(MemoryEventLog):
    """A log of one session, told by a Telling."""

    def __init__(self, story: Telling) -> None:
        super().__init__()
        self.story = story

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        return self.story.events[after : after + limit]


def folded(events: Sequence[Recorded], session: SessionId) -> Tally:
    meter, total = SessionMeter(session), Tally()
    for event in events:
        total.add(meter.apply(event))
    return total


def values(tally: Tally) -> dict[str, tuple[float, int]]:
    """Total and count by name and labels."""
    return {"|".join((one.metric.name, *one.labels)): (one.total, one.count) for one in tally.series()}


def measured_in(story: Telling) -> dict[str, tuple[float, int]]:
    return values(folded(story.events, story.session))


@given(story=tellings())
async def test_the_counts_of_all_events_add_up_to_those_of_the_log(story: Telling) -> None:
    log, live = Told(story), Tally()
    for event in story.events:
        if event.type in MEASURED:
            live.add(await measured(log, story.session, event))
    assert live == await recounted(log, story.session)
    assert live == Tally(dict(live))


async def test_an_event_that_the_log_has_lost_counts_nothing_and_nothing_twice() -> None:
    """Its pointer may be older than a server that came back without its last second."""
    story = Telling()
    turn = story.ask()
    story.tell(TurnCompleted(sentences=0, audio_ms=0), turn)
    story.tell(PlaybackEnded(heard_ms=0, underruns=2), turn)
    lost = story.events.pop()
    assert await measured(Told(story), story.session, lost) == Tally()
    story.events[-1:] = [lost]  # with a hole before it, as a trimmed log has one
    assert values(await measured(Told(story), story.session, lost))["rhapsode_underruns_total"] == (2, 0)


def test_every_event_that_counts_is_told_to_the_workers() -> None:
    assert MEASURED <= TRIGGERS


@given(st.lists(tellings(), max_size=4), st.randoms())
def test_the_order_of_sessions_changes_nothing(stories: list[Telling], order: object) -> None:
    parts = [folded(story.events, story.session) for story in stories]
    forth, back = Tally(), Tally()
    for part in parts:
        forth.add(part)
    for part in reversed(parts):
        back.add(part)
    assert forth == back


def test_a_turn_is_measured_at_its_end_and_once() -> None:
    story = Telling()
    turn = story.ask()
    story.tell(TurnStarted(epoch=1), turn, after_ms=30)
    story.tell(TextDelta(at=0, text="Yes."), turn, after_ms=200)
    story.tell(TextDelta(at=4, text=" It is."), turn, after_ms=50)
    done = TextCompleted(chars=11, finish="stop", tokens_in=20, tokens_out=6, ttft_ms=150.0, provider="local")
    story.tell(done, turn)
    end = story.sentence(turn, 0, 0, after_ms=100)  # heard until 780
    story.sentence(turn, 1, end, after_ms=500)  # 100 ms late
    assert "rhapsode_turns_total|prompt|typed|completed" not in measured_in(story)
    story.tell(TurnCompleted(sentences=2, audio_ms=800), turn)
    found = measured_in(story)
    assert found["rhapsode_turns_total|prompt|typed|completed"] == (1, 0)
    assert found["rhapsode_queue_wait_seconds"] == (0.03, 1)
    assert found["rhapsode_time_to_first_text_seconds"] == (0.23, 1)
    assert found["rhapsode_delta_gap_seconds"] == (0.05, 1)
    assert found["rhapsode_time_to_first_token_seconds|local"] == (0.15, 1)
    assert found["rhapsode_time_to_first_audio_seconds|prompt"] == (0.38, 1)
    assert found["rhapsode_sentence_gap_seconds"] == (0.1, 1)
    assert found["rhapsode_time_to_first_byte_seconds"] == (0.081, 2)
    assert found["rhapsode_synthesis_real_time_factor"] == (0.5, 2)
    assert found["rhapsode_spoken_seconds_total"] == (0.8, 0)
    assert found["rhapsode_tokens_total|in|local"] == (20, 0)


def test_a_turn_that_was_taken_over_counts_once_and_says_so() -> None:
    story = Telling()
    turn = story.ask()
    story.tell(TurnStarted(epoch=1), turn, after_ms=10)
    story.tell(TextDelta(at=0, text="Yes."), turn, after_ms=100)
    story.tell(TurnResumed(epoch=2, chars=4, sentences=0), turn, after_ms=2_000)
    story.tell(TextDelta(at=4, text=" It is."), turn, after_ms=100)
    story.tell(TurnFailed(stage="text", code="engine.busy", message="no"), turn)
    found = measured_in(story)
    assert found["rhapsode_takeovers_total"] == (1, 0)
    assert found["rhapsode_queue_wait_seconds"] == (0.01, 1)
    assert found["rhapsode_turn_errors_total|text|engine.busy"] == (1, 0)
    assert "rhapsode_delta_gap_seconds" not in found


def test_a_held_sentence_was_not_late() -> None:
    story = Telling()
    turn = story.ask()
    end = story.sentence(turn, 0, 0)
    story.tell(PlaybackPaused(), after_ms=100)
    story.tell(PlaybackResumed(), after_ms=5_000)
    story.sentence(turn, 1, end, after_ms=299)
    story.tell(TurnCompleted(sentences=2, audio_ms=800), turn)
    assert measured_in(story)["rhapsode_sentence_gap_seconds"] == (0.0, 1)


def test_listeners_say_when_they_heard_it_first_and_how_often_it_broke_off() -> None:
    story = Telling()
    turn = story.ask()
    end = story.sentence(turn, 0, 0, after_ms=300)
    story.tell(TurnCompleted(sentences=1, audio_ms=end), turn)
    story.tell(PlaybackHeard(heard_ms=100), turn, after_ms=250)
    story.tell(PlaybackEnded(heard_ms=400, underruns=2), turn, after_ms=300)
    story.tell(PlaybackEnded(heard_ms=200, underruns=0), turn, after_ms=90_000)
    found = measured_in(story)
    assert found["rhapsode_time_to_first_sound_seconds"] == (0.45, 1)
    assert (found["rhapsode_playbacks_total"][0], found["rhapsode_underruns_total"][0]) == (2, 2)
    assert found["rhapsode_heard_seconds_total"] == (0.6, 0)


def test_an_answer_to_speech_is_measured_from_the_end_of_the_speech() -> None:
    story = Telling()
    words = {"text": "so", "mode": "realtime", "engine": "e", "language": "en", "taken": "turn"}
    times = {"start_ms": 100, "end_ms": 1_100, "after_ms": 250.0, "decode_ms": 125.0}
    story.tell(TranscriptFinal(input="i", utterance=0, **words, **times), after_ms=1_000)
    turn = story.ask(input="i", utterances=(0,))
    story.sentence(turn, 0, 0, after_ms=500)
    story.tell(TurnCompleted(sentences=1, audio_ms=400), turn)
    found = measured_in(story)
    assert found["rhapsode_voice_to_voice_seconds"] == (0.75, 1)
    assert found["rhapsode_recognition_delay_seconds|realtime"] == (0.25, 1)
    assert found["rhapsode_recognition_real_time_factor|realtime"] == (0.125, 1)
    assert found["rhapsode_turns_total|prompt|spoken|completed"] == (1, 0)


def test_a_copy_counts_only_what_happened_in_it() -> None:
    copy = Telling(SessionStarted(settings=SETTINGS, imported_from="elsewhere"))
    before = copy.events[0]
    old = Recorded(Seq(2), BEGAN_MS - 9, before.turn, "owner.changed", 1, {"epoch": 2, "node": "n"})
    copy.events.append(old)
    copy.tell(SessionStarted(settings=SETTINGS), after_ms=1)
    found = values(folded([before, old], copy.session))
    assert found == {"rhapsode_sessions_started_total|session": (1, 0)}


@given(st.lists(st.floats(0, 40), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_in_the_bucket_of_what_it_estimates(seen: list[float], share: float) -> None:
    tally = Tally()
    for value in seen:
        tally.observe(metric_names.QUEUE_WAIT, value)
    [series] = tally.series()
    rank = max(1, -(-len(seen) * share // 1))
    exact = sorted(seen)[int(rank) - 1]
    bounds = [0.0, *metric_names.SECONDS]
    bucket = next(
        (n for n, high in enumerate(metric_names.SECONDS) if exact <= high), len(metric_names.SECONDS) - 1
    )
    estimate = series.quantile(share)
    assert estimate is not None
    assert bounds[bucket] - 1e-9 <= estimate <= bounds[bucket + 1] + 1e-9
    assert quantile((1.0,), [0, 0], share) is None


def test_a_hold_costs_as_much_as_there_are_answers_in_the_making() -> None:
    """A bundle may have ten thousand turns that are over, and be held a hundred thousand times."""
    story = Telling()
    for _ in range(50):
        story.tell(TurnCompleted(sentences=0, audio_ms=0), story.ask())
    story.ask()
    meter = SessionMeter(story.session)
    for event in story.events:
        meter.apply(event)
    with mock.patch.object(TurnMeter, "go_on", autospec=True) as go_on:
        for kind in (PlaybackPaused(), PlaybackResumed()) * 3:
            story.tell(kind)
            meter.apply(story.events[-1])
    assert go_on.call_count == 3


def test_a_sentence_is_compared_with_a_few_of_those_before_it() -> None:
    class Place(int):
        looks = 0

        def __lt__(self, other: object) -> bool:
            Place.looks += 1
            return int(self) < float(cast(float, other))

        def __gt__(self, other: object) -> bool:
            Place.looks += 1
            return int(self) > float(cast(float, other))

    story = Telling()
    turn = story.ask()
    story.sentence(turn, 0, 0)
    for number in range(1, 2_000):
        story.tell(SentenceVoiced(sentence=number, voice="v", at_ms=400 * number), turn)
        voiced = story.events.pop()
        story.events.append(replace(voiced, data={**voiced.data, "at_ms": Place(400 * number)}))
    story.tell(TurnCompleted(sentences=2_000, audio_ms=0), turn)
    assert measured_in(story)["rhapsode_sentences_ahead"][1] == 1_999
    assert Place.looks < 2_000 * 30


async def test_a_late_report_of_a_listener_reads_nothing_of_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It counts what it says itself; what it says of the first sound is not looked for far back."""
    monkeypatch.setattr(turn_metrics, "LATEST_REPORT", 20)
    monkeypatch.setattr(metric_fold, "LATEST_REPORT", 20)
    story = Telling()
    turn = story.ask()
    story.sentence(turn, 0, 0)
    story.tell(PlaybackHeard(heard_ms=0), turn)
    story.tell(TurnCompleted(sentences=1, audio_ms=400), turn)
    for _ in range(20):
        story.tell(PlaybackPaused())
    story.tell(PlaybackEnded(heard_ms=400, underruns=1), turn)
    log = Told(story)
    with mock.patch.object(log, "read", side_effect=AssertionError("nothing is read")):
        late = await measured(log, story.session, story.events[-1])
    assert values(late)["rhapsode_underruns_total"] == (1, 0)
    assert "rhapsode_time_to_first_sound_seconds" not in measured_in(story)
    assert await recounted(log, story.session) == folded(story.events, story.session)
