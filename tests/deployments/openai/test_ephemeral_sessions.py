"""An answer that everybody has left is stopped, and one to which somebody came back elsewhere is not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from anyio import wait_all_tasks_blocked

from deployments.ephemeral_sessions import EphemeralSessions
from pipeline.admission.allowance import Allowance
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.catalog import Catalog
from pipeline.sessions.session_commands import HeardLedger, Sessions
from pipeline.stt.evaluation.audio_clock import AudioClock
from schemas.events import SessionStarted, TurnRequested
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.settings.limit_settings import LimitSettings
from tests.pipeline.sessions.test_session_owner import QUIET, Patient, gateway
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio
GRACE_S = 5.0


@dataclass
class Replicas:
    """Two keepers of one answer, on a clock that goes on when it is told to."""

    log: MemoryEventLog
    clock: AudioClock
    here: EphemeralSessions
    elsewhere: EphemeralSessions
    session: SessionId
    turn: TurnId

    async def recorded(self, kind: str) -> bool:
        return any(event.type == kind for event in await self.log.read(self.session, Seq(0)))

    async def grace_passes(self) -> None:
        await wait_all_tasks_blocked()
        await self.clock.advance(self.clock.monotonic() + GRACE_S + 1)
        await wait_all_tasks_blocked()


@asynccontextmanager
async def opened() -> AsyncGenerator[Replicas, None]:
    log, session, clock = MemoryEventLog(), new_session_id(), AudioClock(0.0)
    limits = LimitSettings()
    async with (
        Recorder(log) as recorder,
        Tailer(log) as tailer,
        gateway(log, recorder, model=Patient()) as owners,
    ):
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        wish = TurnRequested(kind="prompt", text="One.", settings=QUIET)
        turn = TurnId((await recorder.post(session, wish)).last)
        sessions = Sessions(
            SessionViews(log),
            recorder,
            tailer,
            owners,
            HeardLedger(recorder, clock),
            allowance=Allowance(MemoryMeter(), limits),
            choices=Catalog(QUIET, {}),
        )
        async with (
            EphemeralSessions(log, sessions, tailer, clock, grace_s=GRACE_S) as here,
            EphemeralSessions(log, sessions, tailer, clock, grace_s=GRACE_S) as elsewhere,
        ):
            yield Replicas(log, clock, here, elsewhere, session, turn)


async def test_a_client_that_came_back_elsewhere_before_it_was_noticed_here_is_not_stopped() -> None:
    async with opened() as made:
        with made.here.waiting(made.session, made.turn):
            since = await made.elsewhere.returned(made.session)
            back = made.elsewhere.waiting(made.session, made.turn, since=since)
            back.__enter__()
        await made.grace_passes()
        assert not await made.recorded("turn.stop_requested")
        back.__exit__(None, None, None)
        await made.grace_passes()
        assert await made.recorded("turn.stop_requested"), "it is left for good now"


async def test_a_client_that_came_back_here_and_left_again_is_not_waited_for() -> None:
    async with opened() as made:
        with made.here.waiting(made.session, made.turn):
            since = await made.here.returned(made.session)
            with made.here.waiting(made.session, made.turn, since=since):
                pass
        await made.grace_passes()
        assert await made.recorded("turn.stop_requested")


async def test_a_failed_stop_of_one_answer_hinders_no_other() -> None:
    async with opened() as made:
        with made.here.waiting(made.session, TurnId(999)):
            pass
        await made.grace_passes()
        with made.here.waiting(made.session, made.turn):
            pass
        await made.grace_passes()
        assert await made.recorded("turn.stop_requested")
