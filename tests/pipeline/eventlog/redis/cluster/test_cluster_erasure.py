"""A deletion stays: it counts once replicas know of it, and no server's file has the session any more."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from redis.asyncio.connection import ConnectionPool

from loadtests.chaos.redis_faults import replicas_of
from loadtests.servers.redis_servers import (
    RedisCluster,
    RedisServer,
    find_server,
    free_ports,
    wait_for,
    watched_redis,
)
from pipeline.background.redis.aof_rewrite import Rewritten, rewrite
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.cluster.cluster_log import ClusterEventLog
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import NotCertain, RedisEventLog
from pipeline.eventlog.redis.server import OPTIONS
from schemas.errors import LogUnavailable
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import LogSettings
from tests.support.eventlog.log_events import batch, creation, delta
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

SECRET = "the keeper's daughter lives in the mill"


async def reached(log: RedisEventLog) -> bool:
    try:
        await log.ping()
    except LogUnavailable:
        return False
    return True


@pytest.fixture
async def hasty(cluster: RedisCluster) -> AsyncGenerator[RedisEventLog, None]:
    """A log that wants a second copy, and does not wait for it long."""

    def dial(address: str) -> ConnectionPool:
        return ConnectionPool(host="127.0.0.1", port=int(address.rpartition(":")[2]), **OPTIONS)

    log = ClusterEventLog(cluster.nodes, dial, replicas=1, patience_s=1.0)
    with anyio.fail_after(30):
        while not await reached(log):
            pass
    yield log
    await log.aclose()


def serving(cluster: RedisCluster, session: SessionId) -> tuple[RedisServer, RedisServer]:
    """The primary and the replica that have the session, once everybody has heard of both."""
    primary = cluster.primary_of(slot_of(Keys(64).meta(session)))
    wait_for(lambda: replicas_of(cluster, primary), "a replica that is known")
    [replica] = replicas_of(cluster, primary)
    return primary, replica


@contextmanager
def without_replica(cluster: RedisCluster, session: SessionId) -> Iterator[None]:
    _, replica = serving(cluster, session)
    replica.freeze()
    try:
        yield
    finally:
        replica.thaw()
        wait_for(cluster.replicated, "a replica in step")


async def certain(delete: Callable[[], Awaitable[None]]) -> None:
    """Until it is, as whoever is told to try again does."""
    for _ in range(50):
        try:
            await delete()
        except NotCertain:
            continue
        return
    raise AssertionError("the deletion never became certain")


async def test_a_deletion_waits_for_a_second_copy_also_when_it_is_asked_for_again(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    session = new_session_id()
    await hasty.append([creation(session), batch(session, 1, delta(0))])
    with without_replica(cluster, session):
        for _ in range(2):
            with pytest.raises(NotCertain):
                await hasty.delete(session)
    await certain(lambda: hasty.delete(session))
    [head] = await hasty.heads([session])
    assert head is not None
    assert head.state == "deleted"


async def test_so_does_a_tombstone_for_what_only_the_archive_has(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    session, archival = new_session_id(), Archival(hasty)
    with without_replica(cluster, session):
        for _ in range(2):
            with pytest.raises(NotCertain):
                await archival.mark_deleted(session, Seq(7), "gen")
    await certain(lambda: archival.mark_deleted(session, Seq(7), "gen"))
    [head] = await hasty.heads([session])
    assert head is not None
    assert (head.state, head.seq) == ("deleted", 7)


async def test_everything_before_is_settled_only_with_every_shards_replica(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    await certain(hasty.settled)
    with without_replica(cluster, new_session_id()), pytest.raises(NotCertain):
        await hasty.settled()


@pytest.mark.long
async def test_a_session_that_a_failover_brings_back_is_deleted_again(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    session = new_session_id()
    key = Keys(64).meta(session)
    primary, replica = serving(cluster, session)
    async with Recorder(hasty) as recorder:
        await hasty.append([creation(session)])
        await certain(hasty.settled)
        replica.freeze()
        primary.ask("CLIENT", "KILL", "TYPE", "replica")
        with pytest.raises(NotCertain):
            await recorder.erase(session)
        primary.kill()
        replica.thaw()
        with replica.client() as client:
            client.readonly()
            assert client.hget(key, "st") is None, "the replica knew, so the test shows nothing"
        await anyio.to_thread.run_sync(
            wait_for, lambda: cluster.primary_of(slot_of(key)) is replica, "a new primary"
        )
        await anyio.to_thread.run_sync(primary.start)
        await anyio.to_thread.run_sync(wait_for, lambda: cluster.whole() and cluster.replicated(), "all")
        await eventually(lambda: not recorder._committer._replayer._uncertain)
    [head] = await hasty.heads([session])
    assert head is not None
    assert head.state == "deleted"


def told(servers: Sequence[RedisServer]) -> list[str]:
    """The servers with the secret in a file."""
    return [
        server.address
        for server in servers
        if any(SECRET.encode() in file.read_bytes() for file in server.folder.glob("appendonlydir/*.aof"))
    ]


async def erased(log: RedisEventLog, servers: Sequence[RedisServer]) -> None:
    """A session with the secret was on as many servers as shall have it, and is no more."""
    session = new_session_id()
    await log.append([creation(session), batch(session, 1, delta(0, SECRET))])
    await eventually(lambda: len(told(servers)) == 2)
    await certain(lambda: log.delete(session))
    assert len(told(servers)) == 2


async def test_no_server_of_a_cluster_has_it_in_its_file_any_more(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    await erased(hasty, cluster.servers)
    assert await rewrite(hasty, 20) == Rewritten(6, 6)
    await eventually(lambda: told(cluster.servers) == [])


async def test_a_replica_that_says_nothing_is_not_said_to_have_forgotten(
    cluster: RedisCluster, hasty: RedisEventLog
) -> None:
    session = new_session_id()
    await erased(hasty, cluster.servers)
    with without_replica(cluster, session):
        assert await rewrite(hasty, 20) == Rewritten(6, 5)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """A server and its replica, which nobody watches."""
    try:
        binary = find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    options = ('save ""', "appendonly yes", "appendfsync no", "repl-diskless-sync-delay 0")
    ports = free_ports(2)
    follow = f"replicaof 127.0.0.1 {ports[0]}"
    servers = [
        RedisServer(binary, tmp_path / "first", ports[0], options),
        RedisServer(binary, tmp_path / "second", ports[1], (*options, follow)),
    ]
    try:
        for server in servers:
            server.start()
        wait_for(lambda: servers[0].info("replication")["connected_slaves"] == 1, "a replica")
        yield servers
    finally:
        for server in servers:
            server.kill()


async def test_a_server_names_the_replicas_that_nobody_else_knows(
    pair: list[RedisServer], tmp_path: Path
) -> None:
    tree = {"url": f"redis://{pair[0].address}", "replicas_acknowledge": 1}
    log = open_hot_log(LogSettings.model_validate(tree), tmp_path)
    await erased(log, pair)
    assert await rewrite(log, 20) == Rewritten(2, 2)
    await eventually(lambda: told(pair) == [])
    await log.aclose()


async def test_a_server_that_may_not_be_asked_has_not_been(pair: list[RedisServer], tmp_path: Path) -> None:
    pair[1].ask("ACL", "SETUSER", "default", "-bgrewriteaof")
    log = open_hot_log(LogSettings.model_validate({"url": f"redis://{pair[0].address}"}), tmp_path)
    assert await rewrite(log, 20) == Rewritten(2, 1)
    begun = pair[1].info("persistence")["aof_rewrites"]
    pair[1].ask("ACL", "SETUSER", "default", "+bgrewriteaof", "-info")
    assert await rewrite(log, 20) == Rewritten(2, 1)
    pair[1].ask("ACL", "SETUSER", "default", "+info")
    assert pair[1].info("persistence")["aof_rewrites"] == begun
    pair[1].ask("CONFIG", "SET", "appendonly", "no")
    assert await rewrite(log, 20) == Rewritten(2, 2)
    await log.aclose()


@pytest.mark.long
async def test_sentinels_name_replicas_that_are_away_as_well(tmp_path: Path) -> None:
    try:
        find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with watched_redis(tmp_path / "redis", replicas=1) as watched:
        addresses = [sentinel.address for sentinel in watched.sentinels]
        settings = LogSettings.model_validate({"mode": "sentinel", "sentinels": addresses})
        log = open_hot_log(settings, tmp_path)
        await erased(log, watched.servers)
        assert await rewrite(log, 20) == Rewritten(2, 2)
        await eventually(lambda: told(watched.servers) == [])
        await anyio.to_thread.run_sync(watched.servers[1].kill)
        assert await rewrite(log, 20) == Rewritten(2, 1)
        await log.aclose()
