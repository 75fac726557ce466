"""Asynchronous functions: a worker that is killed in the middle of a call is followed by another, once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.admission.allowance import Allowance
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.tool_results import ToolResults
from pipeline.background.worker_ports import Member, Pointer
from pipeline.core.clock import SystemClock
from pipeline.eventlog.event_log import Outcome
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.session_state.session_views import SessionViews
from pipeline.tools.tool_registry import ToolRegistry
from schemas.errors.access_errors import TurnLimit
from schemas.events import (
    PlaybackPaused,
    SessionEnded,
    SessionStarted,
    ToolCalled,
    ToolStarted,
    TurnCompleted,
    TurnRequested,
)
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.settings import SessionSettings
from schemas.settings.access_settings import PrincipalLimits
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.tool_settings import RegisteredFunction, ToolRegistrySettings
from tests.support.eventlog.log_events import raw, until
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter
from tests.support.worker_effects import fetched, killed_process, running

pytestmark = pytest.mark.anyio
TURN = TurnId(2)
SETTINGS = SessionSettings(speak=False)


@dataclass
class Station:
    """A function's server, which answers once it is `open`."""

    url: str = ""
    status: int = 200
    keys: list[str] = field(default_factory=list)
    """The `Idempotency-Key` of each request."""
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        self.keys.append(next(value for name, value in lines.items() if name.lower() == "idempotency-key"))
        await self.open.wait()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsunny" % self.status)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def station() -> AsyncGenerator[Station, None]:
    found = Station()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield found
    finally:
        found.open.set()
        server.close()


async def begun(log: RedisEventLog, *after: SessionEnded | PlaybackPaused) -> SessionId:
    """A session whose answer has begun a function and is over."""
    session = new_session_id()
    async with Recorder(log) as recorder:
        wish = TurnRequested(kind="prompt", text="How is the weather?", settings=SETTINGS)
        await recorder.post(session, SessionStarted(settings=SETTINGS), wish, mode="create")
        called = ToolCalled(call="c1", name="weather", arguments='{"city": "Kiel"}', place="server")
        completed = TurnCompleted(sentences=0, audio_ms=0)
        await recorder.post(session, called, ToolStarted(call="c1"), completed, turn=TURN)
        if after:
            await recorder.post(session, *after)
    return session


async def later(log: RedisEventLog, session: SessionId, least: int = 0) -> list[Recorded]:
    """The events after the first answer, once there are this many."""
    with anyio.fail_after(60):
        while len(found := await log.read(session, Seq(5))) < least:  # noqa: ASYNC110 - another process writes
            await anyio.sleep(0.02)
    return found


@pytest.mark.parametrize("status", [200, 500])
async def test_a_call_survives_a_killed_worker_and_is_told_once(
    log: RedisEventLog, home: Path, status: int
) -> None:
    async with station() as weather:
        weather.status = status
        session = await begun(log)
        with killed_process("killed_caller", home, weather.url, "first"):
            await until(lambda: len(weather.keys) == 1)
        assert not await later(log, session)
        weather.open.set()
        with killed_process("killed_caller", home, weather.url, "second"):
            found = await later(log, session, 2)
            assert len(weather.keys) == 2
        assert set(weather.keys) == {f"{session}/{TURN}/c1"}
    result, told = found
    assert (result.turn, result.data["call"]) == (TURN, "c1")
    assert result.type == ("tool.completed" if status == 200 else "tool.failed")
    assert (told.type, told.data["result_of"], told.data["kind"]) == ("turn.requested", TURN, "prompt")
    assert ("sunny" in told.data["text"]) is True
    assert told.data["text"].startswith('The function weather({"city": "Kiel"}) has ')


async def test_nothing_is_called_for_a_session_that_has_ended_and_a_pause_outlasts_a_result(
    log: RedisEventLog, home: Path
) -> None:
    async with station() as weather:
        weather.open.set()
        await begun(log, SessionEnded(reason="user"))
        goes_on = await begun(log, PlaybackPaused(by="voice"))
        with killed_process("killed_caller", home, weather.url, "only"):
            found = await later(log, goes_on, 3)
    assert weather.keys == [f"{goes_on}/{TURN}/c1"]
    assert [event.type for event in found[2:]] == ["turn.requested", "playback.paused"]
    assert found[-1].data["by"] == "voice"


async def test_a_call_that_killed_all_its_workers_ends_with_an_error_that_the_conversation_hears_of(
    log: RedisEventLog, home: Path
) -> None:
    async with station() as weather:
        session = await begun(log)
        dead = RedisGroups(log)
        taken = await fetched(dead, Member("tool_results", "dead"))
        [pointer] = [one.pointer for one in taken if one.pointer.type == "tool.started"]
        with raw(home) as server:  # so often it was delivered, and nobody lived to the end of it
            stream = Keys(16).triggers(pointer.partition)
            server.xclaim(stream, "tool_results", "dead", 0, [pointer.entry], retrycount=5, justid=True)
        await dead.aclose()
        function = RegisteredFunction(url=weather.url, asynchronous=True)
        async with (
            Recorder(log) as recorder,
            ToolRegistry(ToolRegistrySettings(functions={"weather": function})) as functions,
        ):
            owe = Allowance(MemoryMeter(), LimitSettings()).told
            effect = ToolResults(SessionViews(log), functions, recorder, SystemClock(), owe)
            async with running(log, effect):
                result, told = await later(log, session, 2)
                with raw(home) as server:
                    await until(lambda: server.xlen(Keys(16).beside(pointer.partition, "dlq")) == 1)
    assert weather.keys == []
    assert (result.type, result.data["call"], result.turn) == ("tool.failed", "c1", TURN)
    assert (told.type, told.data["result_of"]) == ("turn.requested", TURN)
    assert result.data["message"] in told.data["text"]


class Interrupted(Recorder):
    """Recorder before whose first command with a key the playback is paused."""

    paused = False

    async def post(self, session: SessionId, *events: Any, **named: Any) -> Outcome:
        if "key" in named and not self.paused:
            self.paused = True
            await super().post(session, PlaybackPaused())
        return await super().post(session, *events, **named)


async def test_a_pause_that_begins_while_a_result_is_recorded_goes_on() -> None:
    log, session = MemoryEventLog(), new_session_id()
    function = RegisteredFunction(
        entry_point="tests.support.operator_functions:weather", description="Weather.", asynchronous=True
    )
    async with (
        Interrupted(log) as recorder,
        ToolRegistry(ToolRegistrySettings(functions={"weather": function})) as functions,
    ):
        wish = TurnRequested(kind="prompt", text="How is the weather?", settings=SETTINGS)
        await recorder.post(session, SessionStarted(settings=SETTINGS), wish, mode="create")
        asked = ToolCalled(call="c1", name="weather", arguments='{"city": "Kiel"}', place="server")
        await recorder.post(session, asked, ToolStarted(call="c1"), turn=TURN)
        [started] = await log.read(session, Seq(3))
        views, owe = SessionViews(log), Allowance(MemoryMeter(), LimitSettings()).told
        effect = ToolResults(views, functions, recorder, SystemClock(), owe)
        await effect.apply(Pointer(0, "1-0", session, started.seq, "tool.started"), started)
        conversation, _ = await views.get(session)
    assert recorder.paused
    assert conversation.turns[TURN].calls["c1"].returned
    assert conversation.paused_by == "user"


async def called(settings: SessionSettings, allowance: Allowance) -> Recorded:
    """The turn that tells a result, in a session of `ann` with these settings, of a question without
    collections; the effect runs twice, as after a crash."""
    log, session = MemoryEventLog(), new_session_id()
    function = RegisteredFunction(
        entry_point="tests.support.operator_functions:weather", description="Weather.", asynchronous=True
    )
    async with (
        Recorder(log) as recorder,
        ToolRegistry(ToolRegistrySettings(functions={"weather": function})) as functions,
    ):
        checked = settings.model_copy(update={"collections": ()})
        wish = TurnRequested(kind="prompt", text="How is the weather?", settings=checked)
        await recorder.post(session, SessionStarted(settings=settings, principal="ann"), wish, mode="create")
        asked = ToolCalled(call="c1", name="weather", arguments='{"city": "Kiel"}', place="server")
        await recorder.post(session, asked, ToolStarted(call="c1"), turn=TURN)
        [started] = await log.read(session, Seq(3))
        for _ in range(2):
            effect = ToolResults(SessionViews(log), functions, recorder, SystemClock(), allowance.told)
            await effect.apply(Pointer(0, "1-0", session, started.seq, "tool.started"), started)
        [result, told] = await log.read(session, started.seq)
    assert (result.type, told.type) == ("tool.completed", "turn.requested")
    return told


async def test_a_result_is_told_in_the_settings_that_its_question_was_checked_with() -> None:
    allowance = Allowance(MemoryMeter(), LimitSettings())
    told = await called(SETTINGS.model_copy(update={"collections": (new_session_id(),)}), allowance)
    assert not told.data["settings"]["collections"]


async def test_a_told_result_is_one_turn_of_the_principals_quota() -> None:
    limits = LimitSettings(principal=PrincipalLimits(turns_per_minute=2))
    allowance = Allowance(MemoryMeter(lambda: 0), limits)
    await called(SETTINGS, allowance)
    await allowance.turn("ann", 1)
    with pytest.raises(TurnLimit):
        await allowance.turn("ann", 1)
