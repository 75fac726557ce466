"""One slow server, or many lanes that must be sent again, keep nobody else waiting."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from pipeline.eventlog.event_log import Batch, Head, Outcome, Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import group_committer
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.group_committer import FLUSH_BATCHES
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors import LogUnavailable
from schemas.ids import SessionId, new_session_id
from schemas.settings import LogSettings
from tests.support.eventlog.log_events import STARTED, delta, raw
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


class Roads(MemoryEventLog):
    """A road for each session. Some lose what they have, or do not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen: set[SessionId] = set()
        self.unreplicated: set[SessionId] = set()

    def shard_of(self, session: SessionId) -> str:
        return "" if self.unreplicated else session

    def fail_over(self, *sessions: SessionId) -> None:
        for session in sessions:
            del self._sessions[session]
        self.failovers += 1

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        if not self.frozen.isdisjoint(sessions):
            await anyio.sleep_forever()
        return await super().heads(sessions)

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        answers = await super().append(batches)
        return [
            Outcome(Verdict.UNREPLICATED, answer.first, answer.last)
            if batch.session in self.unreplicated
            else answer
            for batch, answer in zip(batches, answers, strict=True)
        ]


async def test_a_shard_that_does_not_answer_holds_up_no_other_ones_events() -> None:
    log = Roads()
    async with Recorder(log) as recorder:
        sessions = [new_session_id() for _ in range(4)]
        for session in sessions:
            await recorder.post(session, STARTED, mode="create")
            await recorder.open(session, producer="owner", epoch=1).commit(delta(0))
        log.frozen.add(sessions[0])
        log.fail_over(*sessions)
        await eventually(lambda: all(s in log._sessions and log._sessions[s].seq == 2 for s in sessions[1:]))
        log.fail_over(sessions[1])  # nor does it keep the next failover from being seen
        await eventually(lambda: sessions[1] in log._sessions and log._sessions[sessions[1]].seq == 2)
        assert sessions[0] not in log._sessions


async def test_a_road_that_nobody_takes_is_forgotten_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_committer, "IDLE_S", 0.01)
    async with Recorder(Roads()) as recorder:
        for _ in range(2):
            session = new_session_id()
            await recorder.post(session, STARTED, mode="create")
            await eventually(lambda: not recorder._committer._shards)
            await recorder.open(session, producer="owner", epoch=1).commit(delta(0))


async def test_many_who_wait_for_replicas_starve_nobody() -> None:
    log = Roads()
    async with Recorder(log) as recorder:
        waiting, other = [new_session_id() for _ in range(FLUSH_BATCHES + 8)], new_session_id()
        await recorder.post(other, STARTED, mode="create")
        log.unreplicated.update(waiting)
        async with anyio.create_task_group() as tasks:
            for session in waiting:
                tasks.start_soon(create, recorder, session)
            await eventually(lambda: recorder.outbox[0] == len(waiting))
            await recorder.open(other, producer="owner", epoch=1).commit(delta(0))
            log.unreplicated.clear()


async def create(recorder: Recorder, session: SessionId) -> None:
    await recorder.post(session, STARTED, mode="create")


async def test_a_client_that_waits_for_a_reply_when_the_log_is_closed_is_told(home: Path) -> None:
    embedded_server.ensure(home, LogSettings())
    log = RedisEventLog(str(embedded_server.socket_path(home)))
    await log.ping()

    async def ask() -> None:
        with pytest.raises(LogUnavailable, match="closed"):
            await log.acquire(new_session_id(), "me", 60_000)

    with raw(home) as server:
        server.client_pause(30_000, all=False)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
            await eventually(lambda: len(log._single._server._busy) == 3)
            await log.aclose()
        server.client_unpause()
    await ask()
