"""A server that cannot answer now, or only seems to be there."""

from pathlib import Path

import anyio
import pytest

from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import push_subscription
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tailer import Tailer
from schemas.errors import LogError, LogUnavailable
from schemas.ids import Seq, new_session_id
from schemas.settings import LogSettings
from tests.support.eventlog.faulty_proxy import FaultyProxy
from tests.support.eventlog.log_events import ENDED, STARTED, batch, creation, delta, offsets, raw, until

pytestmark = pytest.mark.anyio


async def test_events_wait_for_a_full_server_and_commands_are_refused(home: Path) -> None:
    embedded_server.ensure(home, LogSettings())
    log, session = RedisEventLog(str(embedded_server.socket_path(home)), patience_s=0.5), new_session_id()
    with raw(home) as server:
        async with Recorder(log) as recorder:
            await recorder.post(session, STARTED, mode="create")
            writer = recorder.open(session, producer="owner", epoch=1)
            await writer.commit(delta(0))
            server.config_set("maxmemory", "100kb")
            await writer.record(delta(1))
            with pytest.raises(LogUnavailable):
                await recorder.post(session, delta(100))
            assert await offsets(log, session) == [0]
            server.config_set("maxmemory", "1gb")
            await writer.record(delta(2))
            await writer.drain()
    assert await offsets(log, session) == [0, 1, 2]
    await log.aclose()


async def test_a_server_that_is_not_there_is_reported_in_time(socket_folder: Path) -> None:
    log = RedisEventLog(str(socket_folder / "nobody.sock"), patience_s=0.05)
    with pytest.raises(LogUnavailable):
        await log.ping()
    await log.aclose()


async def test_a_server_of_another_kind_is_refused(log: RedisEventLog, home: Path) -> None:
    await log.ping()
    session = new_session_id()
    with raw(home) as server:
        for partition in range(16):
            server.set(f"ev:{{p{partition}}}:m:{session}", "not a hash")
    with pytest.raises(LogError, match="WRONGTYPE"):
        await log.append([creation(session)])


async def test_a_silent_connection_is_replaced(proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_subscription, "SILENCE_S", 0.02)
    log, session = RedisEventLog(str(proxy.path)), new_session_id()
    seen: list[int] = []
    await log.append([creation(session)])

    async def listen() -> None:
        async with tailer.follow(session, Seq(0)) as batches:
            async for some in batches:
                seen.extend(event.seq for event in some)

    async with Tailer(log, watch_s=0.01) as tailer, anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await until(lambda: seen == [1])
        proxy.deaf = True
        await until(lambda: proxy.subscribers > 1)
        proxy.deaf = False
        await log.append([batch(session, 1, delta(0)), batch(session, 2, ENDED, mode="seal")])
    assert seen == [1, 2, 3]
    await log.aclose()


async def test_a_lost_lease_reply_still_gives_the_lease(proxy: FaultyProxy) -> None:
    log, session = RedisEventLog(str(proxy.path)), new_session_id()
    await log.ping()
    proxy.swallow = True
    assert await log.acquire(session, "me", 60_000)
    assert proxy.swallowed == 1
    [outcome] = await log.append([creation(session)])
    assert outcome.verdict is Verdict.OK
    await log.aclose()
