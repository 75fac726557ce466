"""The real models go on with a turn that another owner began."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.audio.opus import OpusDecoder
from pipeline.core.clock import SystemClock
from pipeline.engines.encoding_speaker import EncodingSpeaker
from pipeline.engines.ports import LanguageModel, TextToSpeech
from pipeline.eventlog.memory_log import MemoryEventLog
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.sessions.owner_pool import Owners
from pipeline.sessions.session_owner import OwnerServices
from pipeline.turn.generation import Models
from schemas.events import TERMINAL, SessionStarted, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import SessionSettings, TextToSpeechSettings
from schemas.settings.limit_settings import LimitSettings

pytestmark = [pytest.mark.anyio, pytest.mark.weights]

SETTINGS = SessionSettings(max_tokens=90, temperature=0.6)


@asynccontextmanager
async def owners_of(log: MemoryEventLog, recorder: Recorder, models: Models) -> AsyncGenerator[Owners, None]:
    async with Tailer(log) as tailer:
        services = OwnerServices(log, recorder, tailer, models, SystemClock(), LimitSettings())
        async with Owners(node="node", services=services) as owners:
            yield owners


async def until(log: MemoryEventLog, session: SessionId, kinds: set[str], count: int) -> list[Recorded]:
    async with Tailer(log) as tailer, tailer.follow(session, Seq(0)) as batches:
        facts: list[Recorded] = []
        with anyio.fail_after(60):
            async for batch in batches:
                facts += batch
                if sum(fact.type in kinds for fact in facts) >= count:
                    return facts
    return facts


async def test_the_answer_goes_on_in_its_own_words_and_the_sound_has_no_gap(
    llama: LanguageModel, piper: TextToSpeech
) -> None:
    models = Models(llama, EncodingSpeaker(piper, TextToSpeechSettings()))
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
            facts = await until(log, session, set(TERMINAL), 1)
    assert [fact.wire() for fact in facts[: len(before)]] == [fact.wire() for fact in before]
    assert [fact.type for fact in facts if fact.type in TERMINAL] == ["turn.completed"]
    [resumed] = [fact for fact in facts if fact.type == "turn.resumed"]
    deltas = [fact.data for fact in facts if fact.type == "text.delta"]
    text = "".join(delta["text"] for delta in deltas)
    assert 0 < resumed.data["chars"] < len(text)
    for number, delta in enumerate(deltas):
        assert delta["at"] == sum(len(earlier["text"]) for earlier in deltas[:number])
    stored = await log.read(session, Seq(0), audio=True, limit=5_000)
    at_ms, decoder = 0, OpusDecoder()
    for chunk in (fact for fact in stored if fact.type == "audio.chunk"):
        assert chunk.data["at_ms"] == at_ms
        if chunk.data["chunk"] == 0:
            decoder = OpusDecoder()
        assert len(decoder.decode(chunk.audio or b"")) == chunk.data["ms"] * 48
        at_ms += chunk.data["ms"]
    done = [fact.data["sentence"] for fact in facts if fact.type == "sentence.completed"]
    assert done == [f.data["sentence"] for f in facts if f.type == "sentence.ready" and f.data["spoken"]]
