"""Workers that start while a shard is away, and partitions that lose their consumer group."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from loadtests.chaos.redis_faults import replicas_of
from loadtests.servers.redis_servers import RedisCluster, RedisServer, wait_for
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import Member
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import SessionId
from tests.pipeline.eventlog.redis.cluster.conftest import settings_for
from tests.support.eventually import eventually
from tests.support.worker_effects import COMPLETED, Noted, fetched, running, session_with

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

KEYS = Keys(64)


@asynccontextmanager
async def log_of_its_own(cluster: RedisCluster, home: Path) -> AsyncGenerator[RedisEventLog, None]:
    opened = open_hot_log(settings_for(cluster), home)
    yield opened
    await opened.aclose()


def shard_without_the_config(cluster: RedisCluster) -> list[RedisServer]:
    """A primary and its replicas, which no process needs to open the log."""
    config = cluster.primary_of(slot_of("ev:cfg")).address
    primary = cluster.at(next(address for address in cluster.primaries() if address != config))
    return [primary, *replicas_of(cluster, primary)]


@contextmanager
def killed(cluster: RedisCluster, shard: list[RedisServer]) -> Iterator[None]:
    for server in shard:
        server.kill()
    try:
        yield
    finally:
        for server in shard:
            server.start()
        wait_for(lambda: cluster.whole() and cluster.replicated(), "a whole cluster")


async def test_a_worker_that_starts_while_a_shard_is_away_works_for_the_others_and_then_for_it_too(
    cluster: RedisCluster, log: RedisEventLog, tmp_path: Path
) -> None:
    sessions = [await session_with(log, COMPLETED) for _ in range(24)]
    shard = shard_without_the_config(cluster)
    gone = {s for s in sessions if cluster.primary_of(slot_of(KEYS.meta(s))) is shard[0]}
    effect = Noted(name="started-while-away")

    def done() -> Counter[SessionId]:
        return Counter(pointer.session for pointer in effect.done if pointer.session in sessions)

    assert 0 < len(gone) < len(sessions)
    async with log_of_its_own(cluster, tmp_path) as its_log, anyio.create_task_group() as tasks:
        back = anyio.Event()

        async def work() -> None:
            async with running(its_log, effect):
                await back.wait()
                await eventually(lambda: done().keys() == set(sessions))

        with killed(cluster, shard):
            tasks.start_soon(work)
            await eventually(lambda: done().keys() == set(sessions) - gone)
        back.set()
    # A shard that comes back may refuse the end of a try: then the event is applied again, by design.
    assert {session: count for session, count in done().items() if session not in gone} == dict.fromkeys(
        set(sessions) - gone, 1
    )


async def test_a_partition_that_lost_its_group_is_joined_again_and_the_others_lose_nothing_by_it(
    cluster: RedisCluster, log: RedisEventLog
) -> None:
    group, member = RedisGroups(log), Member("lost-by-one", "me")
    while await fetched(group, member):
        pass  # what other tests left
    sessions = [await session_with(log, COMPLETED) for _ in range(12)]
    lost = KEYS.triggers(KEYS.partition(sessions[0]))
    assert cluster.primary_of(slot_of(lost)).ask("XGROUP", "DESTROY", lost, member.group) == 1
    claimed = await group.claim(member, idle_s=60.0, count=10)
    found: set[SessionId] = set()
    while not set(sessions) <= found:
        page = await fetched(group, member)
        assert page, "nothing comes any more"
        found |= {one.pointer.session for one in page}
    assert claimed == []
    await group.leave(member)
