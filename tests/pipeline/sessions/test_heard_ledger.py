"""However often listeners say what they have heard, little of it is recorded, and the last of it always."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pipeline.eventlog.recorder import Recorder
from pipeline.sessions import session_commands
from pipeline.sessions.session_commands import HeardLedger
from pipeline.stt.evaluation.audio_clock import AudioClock
from schemas.errors import LogUnavailable
from schemas.events import SessionStarted
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from tests.pipeline.sessions.test_session_owner import QUIET
from tests.support.eventlog.faulty_logs import GatedLog
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
TURN = TurnId(7)


class Ledger:
    """One on a log and a clock of its own."""

    def __init__(self, log: MemoryEventLog, recorder: Recorder, session: SessionId) -> None:
        self.log = log
        self.clock = AudioClock(0.0)
        self.session = session
        self.ledger = HeardLedger(recorder, self.clock)

    async def recorded(self) -> list[int]:
        events = await self.log.read(self.session, Seq(0))
        return [event.data["heard_ms"] for event in events if event.type == "playback.heard"]


@asynccontextmanager
async def opened() -> AsyncGenerator[Ledger, None]:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        ledger = Ledger(log, recorder, session)
        async with ledger.ledger:
            yield ledger


async def test_the_first_is_recorded_at_once_and_the_others_twice_a_second() -> None:
    async with opened() as made:
        for number in range(100):
            await made.ledger.note(made.session, TURN, 20 * number)
            await made.clock.advance(0.02 * (number + 1))
        await made.clock.advance(10.0)
        assert await made.recorded() == [0, 480, 980, 1_480, 1_980]
        await made.ledger.note(made.session, TURN, 2_000)
        await made.clock.advance(10.1)
        assert (await made.recorded())[-1] == 2_000


async def test_a_flushed_note_is_recorded_before_its_time() -> None:
    async with opened() as made:
        for ms in (100, 200, 300):
            await made.ledger.note(made.session, TURN, ms)
        await made.ledger.flush(made.session)
        await made.clock.advance(0.1)
        assert await made.recorded() == [100, 300]


async def test_the_last_is_recorded_when_the_gateway_ends() -> None:
    async with opened() as made:
        for ms in (100, 200, 300):
            await made.ledger.note(made.session, TURN, ms)
    assert await made.recorded() == [100, 300]


async def test_the_log_remembers_one_producer_however_much_was_heard() -> None:
    async with opened() as made:
        before = len(made.log._sessions[made.session].producers)
        for number in range(50):
            await made.ledger.note(made.session, TurnId(number), number)
        await made.clock.advance(10.0)
        assert len(await made.recorded()) == 50
        assert len(made.log._sessions[made.session].producers) == before + 1


async def test_a_silent_log_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_commands, "SETTLE_S", 0.02)
    log, session = GatedLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        async with HeardLedger(recorder, AudioClock(0.0)) as ledger:
            log.shut()
            await ledger.note(session, TURN, 100)
            with pytest.raises(LogUnavailable):
                await ledger.settle(session)
            log.gate.set()
            monkeypatch.setattr(session_commands, "SETTLE_S", 10.0)
            await ledger.settle(session)
