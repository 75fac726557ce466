"""The real models go on with a turn that another owner began."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.audio.opus import OpusDecoder
from pipeline.core.clock import SystemClock
from pipeline.engines.ports import LanguageModel, TextToSpeech
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_owner import OwnerServices
from pipeline.turn.generation import Engines
from schemas.events import TERMINAL, SessionStarted, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import SessionSettings, TextToSpeechSettings
from schemas.settings.limit_settings import LimitSettings
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = [pytest.mark.anyio, pytest.mark.weights]

SETTINGS = SessionSettings(max_tokens=90, temperature=0.6)


@asynccontextmanager
async def owners_of(
    log: MemoryEventLog, recorder: Recorder, models: Engines
) -> AsyncGenerator[OwnerPool, None]:
    async with Tailer(log) as tailer:
        services = OwnerServices(log, recorder, tailer, models, SystemClock(), LimitSettings())
        async with OwnerPool(node="node", services=services) as owners:
            yield owners


async def until(log: MemoryEventLog, session: SessionId, kinds: set[str], count: int) -> list[Recorded]:
    async with Tailer(log) as tailer, tailer.follow(session, Seq(0)) as batches:
        events: list[Recorded] = []
        with anyio.fail_after(60):
            async for batch in batches:
                events += batch
                if sum(event.type in kinds for event in events) >= count:
                    return events
    return events


async def test_the_answer_goes_on_in_its_own_words_and_the_sound_has_no_gap(
    llama: LanguageModel, piper: TextToSpeech
) -> None:
    models = Engines(llama, EncodingSpeaker(piper, TextToSpeechSettings()))
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=SETTINGS), mode="create")
        wish = TurnRequested(kind="prompt", text="Tell me about a lighthouse.", settings=SETTINGS)
        await recorder.post(session, wish)
        async with owners_of(log, recorder, models) as first:
            first.wake(session, Seq(2))
            before = await until(log, session, {"audio.chunk"}, 1)
        async with owners_of(log, recorder, models) as second:
            second.wake(session, Seq(2))
            events = await until(log, session, set(TERMINAL), 1)
    assert [event.to_dict() for event in events[: len(before)]] == [event.to_dict() for event in before]
    assert [event.type for event in events if event.type in TERMINAL] == ["turn.completed"]
    [resumed] = [event for event in events if event.type == "turn.resumed"]
    deltas = [event.data for event in events if event.type == "text.delta"]
    text = "".join(delta["text"] for delta in deltas)
    assert 0 < resumed.data["chars"] < len(text)
    for number, delta in enumerate(deltas):
        assert delta["at"] == sum(len(earlier["text"]) for earlier in deltas[:number])
    stored = await log.read(session, Seq(0), audio=True, limit=5_000)
    at_ms, decoder = 0, OpusDecoder()
    for chunk in (event for event in stored if event.type == "audio.chunk"):
        assert chunk.data["at_ms"] == at_ms
        if chunk.data["chunk"] == 0:
            decoder = OpusDecoder()
        assert len(decoder.decode(chunk.audio or b"")) == chunk.data["ms"] * 48
        at_ms += chunk.data["ms"]
    done = [event.data["sentence"] for event in events if event.type == "sentence.completed"]
    assert done == [f.data["sentence"] for f in events if f.type == "sentence.ready" and f.data["spoken"]]
