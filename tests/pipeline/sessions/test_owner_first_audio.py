"""Owners tell how soon answers begin, also of short ones; and nothing that is unforeseen ends them all."""

import logging
from uuid import UUID

import pytest

from pipeline.admission.concurrency_limiter import ConcurrencyLimiter, Wait
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import SystemClock
from pipeline.eventlog.event_log import Push, Subscribed
from pipeline.eventlog.recorder import Recorder
from schemas.events import SessionStarted
from schemas.ids import new_session_id
from schemas.settings.limit_settings import AdmissionSettings
from tests.pipeline.sessions.test_session_owner import QUIET, gateway, request, until_over
from tests.support.eventlog import memory_log
from tests.support.eventlog.memory_log import MemoryEventLog, MemoryPushSubscription
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


class Listening(ConcurrencyLimiter):
    """Counts the answers that are judged by when they have begun."""

    begun = 0

    def answered(self, wait: Wait) -> None:
        self.begun += id(wait) in self._waiting
        super().answered(wait)


class InOneGo(MemoryPushSubscription):
    """Tells of a turn when it is over."""

    held: list[Push | Subscribed]

    def announce(self, word: Push | Subscribed) -> None:
        kinds = {event.type for event in word.events} if isinstance(word, Push) else set[str]()
        held = [*getattr(self, "held", []), word]
        self.held = held if "turn.started" in kinds or len(held) > 1 else []
        if "turn.completed" in kinds or not self.held:
            self.held = []
            for each in held:
                super().announce(each)


@pytest.mark.parametrize(("collections", "judged"), [((), 5), ((str(UUID(int=1)),), 0)])
async def test_answers_that_are_over_at_once_are_judged_like_others_but_for_those_that_search(
    monkeypatch: pytest.MonkeyPatch, collections: tuple[str, ...], judged: int
) -> None:
    """A library at rest takes up to half a minute to start: such an answer is late without anybody else."""
    monkeypatch.setattr(memory_log, "MemoryPushSubscription", InOneGo)
    wish = request().model_copy(update={"settings": QUIET.model_copy(update={"collections": collections})})
    log, session = MemoryEventLog(), new_session_id()
    backpressure = EngineBackpressure(AdmissionSettings(), SystemClock())
    backpressure.limiter = counting = Listening(AdmissionSettings(), SystemClock())
    async with Recorder(log) as recorder, gateway(log, recorder, backpressure=backpressure) as owners:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        for turn in range(5):
            owners.wake(session, (await recorder.post(session, wish)).last)
            await until_over(log, session, "turn.completed", turn + 1)
            await eventually(lambda turn=turn: counting.begun > turn or not judged)  # type: ignore[misc]
    assert counting.begun == judged


class Unforeseen(MemoryEventLog):
    """A log that fails in words that are not ours when somebody asks whether to look for work."""

    asked = 0

    async def has_work(self) -> bool:
        self.asked += 1
        if self.asked <= 3:
            raise RuntimeError("the driver has a fault")
        return await super().has_work()


async def test_owners_outlive_an_error_that_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    log, session = Unforeseen(), new_session_id()
    async with Recorder(log) as recorder, gateway(log, recorder):
        await eventually(lambda: log.asked > 3)
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        await recorder.post(session, request())
        await until_over(log, session, "turn.completed")
    said = [
        one
        for one in caplog.records
        if one.levelno >= logging.ERROR and one.name == "pipeline.sessions.owner_pool"
    ]
    assert [record.getMessage() for record in said] == [
        "abandoned sessions cannot be looked for; this is said once until they can"
    ]
