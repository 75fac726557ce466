"""A session is deleted, whatever else happens to it at the same moment."""

from typing import Any

import pytest

from pipeline.admission.allowance import Allowance
from pipeline.core.clock import SystemClock
from pipeline.eventlog.event_log import Batch, EventLog, Outcome
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.catalog import Catalog
from pipeline.sessions.session_commands import HeardLedger, Sessions
from schemas.errors import LogUnavailable
from schemas.events import Event, SessionEnded, SessionEndRequested, SessionStarted
from schemas.events.recorded import NewEvent
from schemas.ids import SessionId, new_session_id
from schemas.settings.limit_settings import LimitSettings
from tests.pipeline.sessions.test_session_owner import QUIET, gateway
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio


class Overtaken(Recorder):
    """A log in which another writer closes the session just before its end is asked for."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self._log = log

    async def post(self, session: SessionId, *events: Event, **how: Any) -> Outcome:
        if isinstance(events[0], SessionEndRequested):
            ended = NewEvent(SessionEnded(reason="done"), 1_000)
            await self._log.append([Batch(session, "another", 1, [ended], mode="seal")])
        return await super().post(session, *events, **how)


class Alone(Recorder):
    """No replica answers: nothing that must be certain is taken."""

    async def post(self, session: SessionId, *events: Event, **how: Any) -> Outcome:
        if isinstance(events[0], SessionEndRequested):
            raise LogUnavailable("Too few replicas of the log answer.")
        return await super().post(session, *events, **how)


@pytest.mark.parametrize("trouble", [Overtaken, Alone])
async def test_a_session_whose_end_is_not_taken_is_deleted_all_the_same(trouble: type[Recorder]) -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with trouble(log) as recorder, Tailer(log) as tailer, gateway(log, recorder) as owners:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        allowance = Allowance(MemoryMeter(), LimitSettings())
        sessions = Sessions(
            SessionViews(log),
            recorder,
            tailer,
            owners,
            HeardLedger(recorder, SystemClock()),
            allowance=allowance,
            choices=Catalog(QUIET, {}),
        )
        await sessions.delete(session)
    [head] = await log.heads([session])
    assert head is not None
    assert head.state == "deleted"
