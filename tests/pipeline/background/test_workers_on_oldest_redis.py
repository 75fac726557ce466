"""The same on the oldest server that we support."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from pipeline.background.event_counts import Stats
from pipeline.background.maintenance import StreamMaintenance
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.session_directory import Directory, DirectoryProjection
from pipeline.background.worker_report import report
from pipeline.background.worker_tasks import ScheduledTask, Work, Workers
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.settings import LogSettings
from tests.support.fixtures.log_server_fixtures import redis_home
from tests.support.worker_effects import COMPLETED, SCANTY, Noted, session_with

__all__ = ["redis_home"]
pytestmark = [pytest.mark.anyio, pytest.mark.redis]


@pytest.fixture
async def old_log(redis_home: Path) -> AsyncGenerator[RedisEventLog, None]:
    opened = open_hot_log(LogSettings(), redis_home)
    yield opened
    await opened.aclose()


async def test_workers_do_all_they_do_on_debian_s_redis(old_log: RedisEventLog) -> None:
    maintenance, view = RedisMaintenance(old_log), Directory(old_log)
    poison = await session_with(old_log, COMPLETED)
    bad = {poison}

    def refuse(pointer: object) -> None:
        if getattr(pointer, "session", None) in bad:
            raise ValueError("poison")

    effect = Noted(refuse)
    work = Work(
        effects=(effect, Stats()),
        projections=(DirectoryProjection(old_log, Directory(old_log)),),
        scheduled_tasks=(ScheduledTask("maintenance", 0.05, StreamMaintenance(maintenance, SCANTY).tidy),),
    )
    sessions = [await session_with(old_log, *[COMPLETED] * 20) for _ in range(20)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Workers(old_log, old_log, work, SCANTY, name="me").run)
        with anyio.fail_after(30):
            while (found := await report(maintenance)).dead_letters != 1 or found.lag or found.pending:
                pass
            [letter] = await maintenance.letters(None, 10)
            bad.clear()
            assert await maintenance.retry(letter)
            while len(effect.done) < 401:
                await anyio.lowlevel.checkpoint()
            while len([session async for session in view.all_of("")]) < 21:
                pass
            assert await maintenance.rebuild("directory")
            while (await report(maintenance)).projections[0].rebuilding:
                pass
        tasks.cancel_scope.cancel()
    assert {one async for one in view.all_of("")} == {poison, *sessions}
    assert {pointer.session for pointer in effect.done} == {poison, *sessions}
    assert len(effect.done) == 401
    assert (await report(maintenance)).workers == 0
