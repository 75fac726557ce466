"""Answers that span the shards: sums over all of them, and the rest where one shard is away."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.connection import ConnectionPool

from loadtests.servers.redis_servers import RedisCluster, free_ports
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.worker_ports import Member
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.event_log import Batch
from pipeline.eventlog.redis.cluster.cluster_log import ClusterEventLog
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.server import OPTIONS
from schemas.errors import LogUnavailable
from schemas.events import TurnRequested
from schemas.ids import SessionId, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.log_events import STARTED, batch, new
from tests.support.worker_effects import fetched

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

KEYS = Keys(64)
WISH = TurnRequested(kind="prompt", text="Go on", settings=SessionSettings())


@asynccontextmanager
async def opened(cluster: RedisCluster, away: str = "") -> AsyncGenerator[ClusterEventLog, None]:
    """A log whose server `away` does not answer, and that does not wait long."""
    [nowhere] = free_ports(1)

    def dial(address: str) -> ConnectionPool:
        port = nowhere if address == away else int(address.rpartition(":")[2])
        return ConnectionPool(host="127.0.0.1", port=port, **OPTIONS)

    nodes = [address for address in cluster.nodes if address != away]
    log = ClusterEventLog(nodes, dial, patience_s=1.0 if away else 10.0)
    yield log
    await log.aclose()


def asked(session: SessionId) -> list[Batch]:
    return [batch(session, 1, STARTED, mode="create"), batch(session, 2, new(WISH))]


async def test_a_shard_that_is_away_takes_only_its_own_sessions_with_it(cluster: RedisCluster) -> None:
    sessions = [new_session_id() for _ in range(24)]
    at = {session: cluster.primary_of(slot_of(KEYS.meta(session))).address for session in sessions}
    config = cluster.primary_of(slot_of("ev:cfg")).address
    away = next(address for address in cluster.primaries() if address != config)
    living, member = {session for session in sessions if at[session] != away}, Member("g", "me")
    assert 0 < len(living) < len(sessions)
    async with opened(cluster) as log:
        for session in sessions:
            await log.append(asked(session))
        assert await fetched(RedisGroups(log), member)
    async with opened(cluster, away) as log:
        assert set(sessions) & set(await log.abandoned()) == living
        maintenance, mine = RedisMaintenance(log), Member("g", "next")
        idle = [session async for page in maintenance.idle(10**15) for session in page]
        assert set(sessions) & set(idle) == living
        claimed = {one.pointer.session for one in await RedisGroups(log).claim(mine, idle_s=0.0, count=1_000)}
        assert set(sessions) & claimed == living
        partitions = {KEYS.partition(session) for session in living}
        leases = await RedisProjections(log).lease("p", "reader", ttl_s=0.1)
        assert partitions <= {lease.partition for lease in leases}
        standing = {one.partition for one in await maintenance.lags()}
        assert {KEYS.partition(session) for session in sessions} & standing == partitions
        named: set[SessionId] = set()
        with pytest.raises(LogUnavailable):  # in the end: whoever needs all of them is told
            await name(Archival(log), named)
        assert set(sessions) & named == living
        with pytest.raises(LogUnavailable):
            await RedisMeasures(log).server()
    async with opened(cluster) as log:
        for session in sessions:
            await log.delete(session)


async def name(archival: Archival, named: set[SessionId]) -> None:
    async for page in archival.statuses():
        named |= {session for session, _ in page}


async def test_the_servers_numbers_are_summed_over_the_shards(cluster: RedisCluster) -> None:
    async with opened(cluster) as log:
        state = await RedisMeasures(log).server()
        await log.attend()
    each = [cluster.at(address) for address in cluster.primaries()]
    commands = [server.info("stats")["total_commands_processed"] for server in each]
    memory = [server.info("memory")["used_memory"] for server in each]
    assert max(commands) < state.commands <= sum(commands)
    assert state.memory_bytes > 1.5 * max(memory)
    assert state.limit_bytes == 0
