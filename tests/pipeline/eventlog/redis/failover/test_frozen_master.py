"""A watched master hangs, and no connection breaks: its successor is looked at before it is sent anything."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import anyio
import pytest

from loadtests.servers.redis_servers import RedisServer, SentinelRedis, find_server, wait_for, watched_redis
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.events import TurnRequested
from schemas.ids import SessionId, new_session_id
from schemas.settings import LogSettings, SessionSettings
from tests.support.eventlog.log_events import batch, creation, delta, new, offsets
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

KEYS = Keys(16)
WISH = TurnRequested(kind="prompt", text="Go on", settings=SessionSettings())
HANGING = 5


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[SentinelRedis]:
    try:
        find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with watched_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def log(watched: SentinelRedis, tmp_path: Path) -> AsyncGenerator[RedisEventLog, None]:
    addresses = tuple(sentinel.address for sentinel in watched.sentinels)
    opened = open_hot_log(LogSettings(mode="sentinel", sentinels=addresses), tmp_path)
    yield opened
    await opened.aclose()


def seq_at(server: RedisServer, session: SessionId) -> int:
    return int(server.ask("HGET", KEYS.meta(session), "seq") or 0)


async def told(log: RedisEventLog, watched: SentinelRedis) -> SessionId:
    """A session with a turn under way, which all servers have; and connections that wait for use."""
    session = new_session_id()
    await log.append([creation(session), batch(session, 1, new(WISH), producer="asker")])
    await log.append([batch(session, 1, delta(0), producer="owner", epoch=1)])
    async with anyio.create_task_group() as tasks:
        for _ in range(HANGING):
            tasks.start_soon(log.heads, [session])
    assert len(log._single._server._idle) == HANGING
    await eventually(lambda: all(seq_at(server, session) == 3 for server in watched.servers))
    return session


def cut_off(watched: SentinelRedis) -> RedisServer:
    """Freezes the replicas: later events are on the master alone."""
    master = watched.master()
    for replica in watched.servers:
        if replica is not master:
            replica.freeze()
    master.ask("CLIENT", "KILL", "TYPE", "replica")
    return master


def replace(watched: SentinelRedis, master: RedisServer) -> RedisServer:
    """It hangs; who came in its place."""
    master.freeze()
    for replica in watched.servers:
        if replica is not master:
            replica.thaw()
    wait_for(lambda: watched.master() is not master, "a new master")
    successor = watched.master()
    wait_for(lambda: watched.masters() == {successor}, "sentinels that agree")
    wait_for(lambda: successor.ask("ROLE")[0] == b"master", "a master that knows it")
    return successor


@pytest.mark.parametrize("first", ["append", "acquire"])
async def test_events_of_a_frozen_master_keep_their_place(
    watched: SentinelRedis, log: RedisEventLog, first: str
) -> None:
    session = await told(log, watched)
    seen, fresh = (
        batch(session, 2, delta(1), producer="owner", epoch=1),
        batch(session, 1, new(WISH), producer="late"),
    )
    master = await anyio.to_thread.run_sync(cut_off, watched)
    assert [outcome.first for outcome in await log.append([seen])] == [4]
    successor = await anyio.to_thread.run_sync(replace, watched, master)
    breaks = log._single.breaks
    async with anyio.create_task_group() as tasks:
        for _ in range(HANGING):
            tasks.start_soon(log.heads, [session])
        await eventually(lambda: not log._single._server._idle)
        assert (log._single.breaks, log.failovers) == (breaks, 0)
        if first == "append":
            [said] = await log.append([fresh])
            assert (said.verdict, said.first) == (Verdict.UNREPLICATED, 0)
        else:
            assert not await log.acquire(session, "somebody", 60_000)
        assert log.failovers > 0
        assert seq_at(successor, session) == 3
        assert [outcome.first for outcome in await log.append([seen])] == [4]
        tasks.cancel_scope.cancel()
    while (last := (await log.append([fresh]))[0]).verdict is Verdict.UNREPLICATED:
        pass
    assert (last.first, await offsets(log, session)) == (5, [0, 1])


async def test_the_sentinels_are_left_alone_when_the_log_is_closed(
    watched: SentinelRedis, log: RedisEventLog
) -> None:
    def asking() -> int:
        lists = [sentinel.ask("CLIENT", "LIST") for sentinel in watched.sentinels]
        return sum(said.count(b"cmd=sentinel|masters") for said in lists)

    await log.ping()
    assert asking() > 0
    await log.aclose()
    await eventually(lambda: asking() == 0)
