"""A shard hangs: callers that need it are told soon, however patient they are, and the others see nothing."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest
from redis.asyncio.connection import ConnectionPool

from loadtests.chaos.redis_faults import replicas_of
from loadtests.servers.redis_servers import RedisCluster, RedisServer, wait_for
from pipeline.eventlog.redis.cluster.cluster_log import ClusterEventLog
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.server import OPTIONS
from schemas.errors import LogUnavailable
from schemas.ids import SessionId, new_session_id
from tests.support.eventlog.log_events import batch, creation, delta, offsets

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

KEYS = Keys(64)
PATIENCE_S = 600.0
"""Longer than any test may take."""
CALLERS = 20


@asynccontextmanager
async def patient_log(cluster: RedisCluster) -> AsyncGenerator[ClusterEventLog, None]:
    def dial(address: str) -> ConnectionPool:
        host, _, port = address.rpartition(":")
        return ConnectionPool(host=host, port=int(port), **OPTIONS)

    log = ClusterEventLog(cluster.nodes, dial, patience_s=PATIENCE_S)
    yield log
    await log.aclose()


def sessions_by_shard(cluster: RedisCluster) -> tuple[RedisServer, list[SessionId], list[SessionId]]:
    """A primary that has not the log's configuration, sessions that are there, and some that are not."""
    config = cluster.primary_of(slot_of("ev:cfg")).address
    primary = cluster.at(next(address for address in cluster.primaries() if address != config))
    found: dict[bool, list[SessionId]] = {True: [], False: []}
    for session in (new_session_id() for _ in range(24)):
        found[cluster.primary_of(slot_of(KEYS.meta(session))) is primary].append(session)
    return primary, found[True], found[False]


@contextmanager
def frozen(cluster: RedisCluster, primary: RedisServer) -> Iterator[None]:
    """With its replicas: nobody comes in its place."""
    shard = [*replicas_of(cluster, primary), primary]
    for server in shard:
        server.freeze()
    try:
        yield
    finally:
        for server in shard:
            server.thaw()
        wait_for(lambda: cluster.whole() and cluster.replicated(), "a whole cluster")


async def test_callers_of_a_shard_that_hangs_are_told_before_their_patience_ends(
    cluster: RedisCluster,
) -> None:
    primary, there, elsewhere = sessions_by_shard(cluster)
    assert there
    assert elsewhere
    told: list[SessionId] = []

    async def call(session: SessionId) -> None:
        with pytest.raises(LogUnavailable):
            await log.heads([session])
        told.append(session)

    async with patient_log(cluster) as log:
        await log.append([creation(session) for session in (*there, *elsewhere)])
        with frozen(cluster, primary):
            with anyio.fail_after(60):
                for number in range(3):
                    async with anyio.create_task_group() as tasks:
                        for caller in range(CALLERS):
                            tasks.start_soon(call, there[caller % len(there)])
                        for session in elsewhere:
                            await log.append([batch(session, number + 1, delta(number))])
                with pytest.raises(LogUnavailable):
                    await log.append([batch(there[0], 1, delta(0))])
            assert len(told) == 3 * CALLERS
            assert log.failovers == 0
        await log.append([batch(there[0], 1, delta(0))])
        assert await offsets(log, there[0]) == [0]
        for session in elsewhere:
            assert await offsets(log, session) == [0, 1, 2]
