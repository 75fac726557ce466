"""The log server's clock decides which gateways are present, however wrong their own clocks are."""

import time
from pathlib import Path

import pytest

from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.observability.process_metrics import FRESH_MS, Snapshot, present
from pipeline.sessions.gateway_register import HERE, LOST_MS, GatewayPresence, RedisGateways
from tests.support.eventlog.log_events import raw

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000


async def test_clocks_that_are_an_hour_apart_hide_nobody_and_the_dead_are_seen_to_be_dead(
    valkey_home: Path,
) -> None:
    log = RedisEventLog(str(embedded_server.socket_path(valkey_home)))
    gateways, measures = RedisGateways(log), RedisMeasures(log)
    mine_ms = time.time_ns() // 1_000_000
    clocks = {"slow": mine_ms - HOUR_MS, "right": mine_ms, "fast": mine_ms + HOUR_MS}
    for name, now_ms in clocks.items():
        await gateways.announce(GatewayPresence(name, "host", 1, "0", since_ms=now_ms, seen_ms=now_ms))
        await measures.publish(Snapshot(name, "gateway", now_ms, {}, {}))
    assert set(await gateways.present()) == set(clocks)
    assert {one.process for one in present(await measures.snapshots(), await measures.now_ms())} == set(
        clocks
    )
    old = GatewayPresence("dead", "host", 1, "0", since_ms=0, seen_ms=await log.now_ms() - LOST_MS - 1_000)
    with raw(valkey_home) as server:
        server.hset(HERE, "dead", old.packed())  # as it said itself, then
    assert set(await gateways.present()) == set(clocks)
    assert present(await measures.snapshots(), await measures.now_ms() + FRESH_MS + 1) == []
    await measures.forget(*clocks)
    for name in (*clocks, "dead"):
        await gateways.retire(name)
    await log.aclose()


async def test_the_server_s_clock_is_read_seldom_and_anew_after_a_break(valkey_home: Path) -> None:
    log = RedisEventLog(str(embedded_server.socket_path(valkey_home)))
    await log.ping()
    with raw(valkey_home) as server:
        server.config_resetstat()
        found = [await log.now_ms() for _ in range(5)]
        assert server.info("commandstats")["cmdstat_time"]["calls"] == 1
        seconds, micros = server.time()
        assert found == sorted(found)
        assert abs(found[-1] - (seconds * 1_000 + micros // 1_000)) < HOUR_MS
        server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await log.ping()
        await log.now_ms()
        assert server.info("commandstats")["cmdstat_time"]["calls"] >= 3  # one of them is this test's own
    await log.aclose()


async def test_an_unreadable_entry_of_another_version_hides_nobody(valkey_home: Path) -> None:
    log = RedisEventLog(str(embedded_server.socket_path(valkey_home)))
    gateways = RedisGateways(log)
    await gateways.announce(GatewayPresence("mine", "host", 1, "0", since_ms=0, seen_ms=0))
    with raw(valkey_home) as server:
        server.hset(HERE, mapping={"older": b'{"gateway": "older"}', "torn": b'{"gateway'})
    assert set(await gateways.present()) == {"mine"}
    for name in ("mine", "older", "torn"):
        await gateways.retire(name)
    await log.aclose()
