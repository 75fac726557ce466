"""A session is deleted, whatever else happens to it at the same moment."""

from typing import Any

import pytest

from pipeline.access.allowance import open_allowance
from pipeline.choices import Choices
from pipeline.clock import SystemClock
from pipeline.heard import HeardLedger
from pipeline.log.base import Batch, Outcome
from pipeline.log.memory import MemoryEventLog
from pipeline.log.recorder import Recorder
from pipeline.log.tailer import Tailer
from pipeline.sessions import Sessions
from pipeline.views import SessionViews
from schemas.events import Fact, SessionEnded, SessionEndRequested, SessionStarted
from schemas.ids import SessionId, new_session_id
from schemas.limits import LimitSettings
from schemas.recorded import NewFact
from tests.unit.test_owner import QUIET, gateway

pytestmark = pytest.mark.anyio


class Overtaken(Recorder):
    """Somebody else closes the session just before its end is asked for."""

    def __init__(self, log: MemoryEventLog) -> None:
        super().__init__(log)
        self._log = log

    async def post(self, session: SessionId, *facts: Fact, **how: Any) -> Outcome:
        if isinstance(facts[0], SessionEndRequested):
            ended = NewFact(SessionEnded(reason="done"), 1_000)
            await self._log.append([Batch(session, "another", 1, [ended], mode="seal")])
        return await super().post(session, *facts, **how)


async def test_a_session_that_ends_by_itself_meanwhile_is_deleted_all_the_same() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Overtaken(log) as recorder, Tailer(log) as tailer, gateway(log, recorder) as owners:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        allowance = open_allowance(log, LimitSettings())
        sessions = Sessions(
            SessionViews(log),
            recorder,
            tailer,
            owners,
            HeardLedger(recorder, SystemClock()),
            allowance=allowance,
            choices=Choices(QUIET, {}),
        )
        await sessions.delete(session)
    [head] = await log.heads([session])
    assert head is not None
    assert head.state == "deleted"
