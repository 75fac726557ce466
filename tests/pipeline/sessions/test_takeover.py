"""An owner dies after any event whatever: the next one goes on, and nobody can tell but by a pause."""

import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.opus import unframe
from pipeline.core.clock import SystemClock
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.engines.scripted import ScriptedLanguageModel, ScriptedTextToSpeech
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_owner import OwnerServices
from pipeline.tts.turn_checkpoint import same_place
from pipeline.turn.generation import Engines
from schemas.events import TERMINAL, Event, SentenceSkipRequested, SessionStarted, TurnRequested
from schemas.events.recorded import Recorded
from schemas.events.turn_events import Word
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import LanguageModelSettings, SessionSettings, TextToSpeechSettings
from schemas.settings.limit_settings import LimitSettings
from tests.pipeline.sessions.test_session_owner import until_over
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio

REPLY = (
    "One keeper lit the lamp. Then, at 5 p.m., the fox came!\n```\ncode\n```\n"
    "It asked: “May I stay?” And so on"
)
SETTINGS = SessionSettings()
TURN = TurnId(2)


@asynccontextmanager
async def owners_of(log: MemoryEventLog, recorder: Recorder, name: str) -> AsyncGenerator[OwnerPool, None]:
    with TemporaryDirectory() as scripts:
        writes, speaks = Path(scripts) / "writes.json", Path(scripts) / "speaks.json"
        writes.write_text(json.dumps({"reply": REPLY, "delta_chars": 7}))
        speaks.write_text(json.dumps({"ms_per_char": 10, "chunk_ms": 100}))
        voice = TextToSpeechSettings(engine="scripted", script=speaks)
        models = Engines(
            ScriptedLanguageModel(LanguageModelSettings(engine="scripted", script=writes)),
            EncodingSpeaker(ScriptedTextToSpeech(voice), voice),
        )
    async with Tailer(log) as tailer:
        services = OwnerServices(log, recorder, tailer, models, SystemClock(), LimitSettings())
        async with OwnerPool(node=name, services=services) as owners:
            yield owners


async def whole_turn(kind: str) -> list[Recorded]:
    """The events of a turn that nothing happened to, with their audio."""
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder, owners_of(log, recorder, "first") as owners:
        wish = TurnRequested(kind=kind, text=REPLY, settings=SETTINGS)  # type: ignore[arg-type]
        await recorder.post(session, SessionStarted(settings=SETTINGS), mode="create")
        await recorder.post(session, wish)
        owners.wake(session, Seq(TURN))
        await until_over(log, session, "turn.completed")
    return await log.read(session, Seq(0), audio=True, limit=5_000)


async def gone_on_with(before: list[Recorded], *, also: Event | None = None) -> list[Recorded]:
    """A log that holds `before` of an owner that is gone, after another has come."""
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, before[0].event(), before[1].event(), mode="create")
        old = recorder.open(session, producer="gone", epoch=1)
        for event in before[2:]:
            await old.commit(event.event(), turn=event.turn, audio=event.audio or b"")
        if also is not None:
            await recorder.post(session, also, turn=TURN)
        async with owners_of(log, recorder, "next") as owners:
            owners.wake(session, Seq(len(before)))
            await until_over(log, session, "turn.completed")
    return await log.read(session, Seq(0), audio=True, limit=5_000)


def check(events: list[Recorded], whole: list[Recorded]) -> None:
    """Nothing lost, nothing twice, one end; `whole` is what it would have been."""
    deltas = [event.data for event in events if event.type == "text.delta"]
    assert "".join(delta["text"] for delta in deltas) == REPLY
    assert [delta["at"] for delta in deltas] == positions([delta["text"] for delta in deltas])
    for kind in ("sentence.ready", "sentence.completed"):
        assert sentences(events, kind) == sentences(whole, kind)
    chunks = [event for event in events if event.type == "audio.chunk"]
    at_ms = 0
    numbers: dict[int, int] = {}
    for chunk in chunks:
        assert chunk.data["at_ms"] == at_ms
        assert chunk.data["chunk"] == numbers.get(chunk.data["sentence"], 0)
        assert sum(20 for _ in unframe(chunk.audio or b"")) == chunk.data["ms"]
        at_ms += chunk.data["ms"]
        numbers[chunk.data["sentence"]] = chunk.data["chunk"] + 1
    assert at_ms == sum(event.data["ms"] for event in whole if event.type == "audio.chunk")
    assert [event.type for event in events if event.type in TERMINAL] == ["turn.completed"]
    assert events[-1].data["audio_ms"] == at_ms


def positions(texts: list[str]) -> list[int]:
    return [sum(map(len, texts[:number])) for number in range(len(texts))]


def sentences(events: list[Recorded], kind: str) -> list[tuple[object, ...]]:
    keys = ("sentence", "start", "end", "spoken", "at_ms", "ms")
    return [tuple(f.data.get(key) for key in keys) for f in events if f.type == kind]


@pytest.mark.parametrize("kind", ["prompt", "text"])
async def test_an_owner_that_dies_after_any_event_is_followed_without_loss(kind: str) -> None:
    whole = await whole_turn(kind)
    for cut in range(3, len(whole)):
        after = await gone_on_with(whole[:cut])
        assert [event.to_dict() for event in after[:cut]] == [
            {**event.to_dict(), "ts": now.ts_ms} for event, now in zip(whole[:cut], after[:cut], strict=True)
        ]
        check(after, whole)
        resumed = [event for event in after if event.type == "turn.resumed"]
        assert len(resumed) == 1


async def test_a_sentence_skipped_while_nobody_was_there_stays_silent() -> None:
    whole = await whole_turn("prompt")
    first_sound = next(n for n, event in enumerate(whole) if event.type == "audio.chunk")
    after = await gone_on_with(whole[:first_sound], also=SentenceSkipRequested(sentence=0))
    assert [event.data["sentence"] for event in after if event.type == "sentence.skipped"] == [0]
    assert all(event.data["sentence"] for event in after if event.type == "audio.chunk")


async def test_two_owners_of_one_session_are_one() -> None:
    """Many replicas, commands at any of them, owners that come and go: still one turn, told once."""
    log, session, dice = MemoryEventLog(), new_session_id(), random.Random(5)
    async with (
        Recorder(log) as recorder,
        owners_of(log, recorder, "a") as a,
        owners_of(log, recorder, "b") as b,
    ):
        await recorder.post(session, SessionStarted(settings=SETTINGS), mode="create")
        wish = TurnRequested(kind="prompt", text="Go on", settings=SETTINGS)
        first = await recorder.post(session, wish)
        for _ in range(50):
            dice.choice((a, b)).wake(session, first.last)
            await anyio.sleep(0.001)
        await until_over(log, session, "turn.completed")
    events = await log.read(session, Seq(0), limit=5_000)
    assert [event.type for event in events].count("turn.started") == 1
    folded = Conversation()
    for event in events:
        folded.apply(event)
    assert folded.turns[TurnId(first.last)].answer == REPLY


# ---------------------------------------------------------------- the same place in another rendering


def words(lengths: list[tuple[int, int]]) -> tuple[Word, ...]:
    made, ms = [], 0
    for number, (gap, length) in enumerate(lengths):
        start = ms + gap
        ms = start + length
        made.append(Word(start=number * 5, end=number * 5 + 4, start_ms=start, end_ms=ms))
    return tuple(made)


LENGTH = st.tuples(st.integers(0, 80), st.integers(1, 900))
LENGTHS = st.lists(LENGTH, min_size=1, max_size=12)


@given(LENGTHS, st.data())
def test_the_same_place_is_in_the_same_word_and_never_goes_back(
    lengths: list[tuple[int, int]], data: st.DataObject
) -> None:
    other = data.draw(
        st.lists(
            st.tuples(st.integers(0, 80), st.integers(1, 900)), min_size=len(lengths), max_size=len(lengths)
        )
    )
    before, after = words(lengths), words(other)
    places = [same_place(before, after, ms) for ms in range(0, before[-1].end_ms + 100, 7)]
    assert places == sorted(places) or before[0].start_ms > after[0].start_ms
    for old, new in zip(before, after, strict=True):
        middle = same_place(before, after, (old.start_ms + old.end_ms) // 2)
        assert new.start_ms - 1 <= middle <= new.end_ms + 1


def test_without_word_times_the_place_is_the_same_time() -> None:
    assert same_place((), words([(0, 10)]), 480) == 480
    assert same_place(words([(0, 10)]), (), 480) == 480
