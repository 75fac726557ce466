"""Abandoned sessions are looked for as often by sixteen gateways as by one; by all where nobody says."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from pipeline.core.clock import SystemClock
from pipeline.engines.scripted import ScriptedLanguageModel
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tailer import Tailer
from pipeline.sessions.orphan_scan import IDLE_MS, LOOK_MS, SCAN_LEASE
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_owner import OwnerServices
from pipeline.turn.generation import Engines
from schemas.errors import LogUnavailable
from schemas.events import TurnRequested
from schemas.ids import SessionId, new_session_id, parse_session_id
from schemas.settings import LanguageModelSettings, LogSettings, SessionSettings
from schemas.settings.limit_settings import LimitSettings
from tests.support.eventlog.log_events import STARTED, raw
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio

WISH = TurnRequested(kind="prompt", text="Go on", settings=SessionSettings())
PARTITIONS = 16


@asynccontextmanager
async def gateway(log: EventLog, recorder: Recorder, name: str) -> AsyncGenerator[OwnerPool, None]:
    """Its models are never asked."""
    models = Engines(ScriptedLanguageModel(LanguageModelSettings(engine="scripted")), None)  # type: ignore[arg-type]
    async with Tailer(log) as tailer:
        services = OwnerServices(log, recorder, tailer, models, SystemClock(), LimitSettings())
        async with OwnerPool(node=name, services=services) as owners:
            yield owners


def calls(server: Redis, command: str) -> int:
    return int(server.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def searches(server: Redis) -> int:
    """Each reads the work of all partitions with one call."""
    return calls(server, "zunion")


def server_ms(server: Redis) -> int:
    seconds, micros = server.time()
    return int(seconds) * 1_000 + int(micros) // 1_000


async def test_many_gateways_search_no_more_often_than_one(home: Path) -> None:
    embedded_server.ensure(home, LogSettings())
    address = str(embedded_server.socket_path(home))
    busy = RedisEventLog(address)
    with raw(home) as server:
        async with Recorder(busy) as recorder, AsyncExitStack() as gateways:
            for _ in range(4):  # somebody runs these: every search finds them, and asks for their leases
                session = new_session_id()
                await recorder.post(session, STARTED, mode="create")
                await busy.acquire(session, "somebody", 600_000)
                await recorder.post(session, WISH)
            owners: list[OwnerPool] = []
            for wanted in (1, 4, 16):
                while len(owners) < wanted:
                    log = RedisEventLog(address)
                    gateways.push_async_callback(log.aclose)
                    owners.append(
                        await gateways.enter_async_context(gateway(log, recorder, f"n{len(owners)}"))
                    )
                server.config_resetstat()
                begun, alone = server_ms(server), sum(one.orphan_scan.alone for one in owners)
                await eventually(lambda: searches(server) >= 8)
                looked, alone = searches(server), sum(one.orphan_scan.alone for one in owners) - alone
                most = (server_ms(server) - begun) // LOOK_MS + 1
                assert looked <= most + 1 + alone, f"{wanted} gateways searched {looked} times"
            assert not any(one.owned for one in owners)
            assert SCAN_LEASE not in await busy.abandoned()
            [lease] = await busy.call(("PTTL", Keys(PARTITIONS).lease(SCAN_LEASE)))
            assert lease <= LOOK_MS
    assert parse_session_id(SCAN_LEASE) is None
    await busy.aclose()


async def test_while_no_session_has_work_gateways_ask_only_whether_there_is_any(home: Path) -> None:
    embedded_server.ensure(home, LogSettings())
    address = str(embedded_server.socket_path(home))
    log, session = RedisEventLog(address), new_session_id()
    with raw(home) as server:
        async with Recorder(log) as recorder, AsyncExitStack() as gateways:
            owners = [await gateways.enter_async_context(gateway(log, recorder, name)) for name in ("a", "b")]
            server.config_resetstat()
            begun = server_ms(server)
            await eventually(lambda: calls(server, "exists") >= 4)
            assert calls(server, "exists") <= len(owners) * ((server_ms(server) - begun) // IDLE_MS + 1)
            assert searches(server) == calls(server, "fcall") == 0
            await recorder.post(session, STARTED, WISH, mode="create")
            await eventually(lambda: any(one.owned for one in owners))
    await log.aclose()


class Silent(MemoryEventLog):
    """Says of no lookout's lease whose it is."""

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        if session == SCAN_LEASE:
            raise LogUnavailable("The log does not answer.")
        return await super().acquire(session, owner, ttl_ms)


async def test_where_nobody_gives_out_the_looks_everybody_looks() -> None:
    log, session = Silent(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, WISH, mode="create")
        async with gateway(log, recorder, "here") as owners:
            await eventually(lambda: owners.owned == 1)
            assert owners.orphan_scan.alone == 1
