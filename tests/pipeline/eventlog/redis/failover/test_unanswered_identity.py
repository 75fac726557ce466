"""A server that does not say who it is was not replaced, and who gives up makes it no suspect."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(valkey_home: Path) -> AsyncGenerator[RedisEventLog, None]:
    opened = RedisEventLog(str(embedded_server.socket_path(valkey_home)))
    await opened.ping()
    yield opened
    await opened.aclose()


async def test_no_answer_to_who_are_you_is_no_failover(
    log: RedisEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, asked = log._single.each, 0

    async def once_in_vain(*commands: Command) -> list[Any]:
        nonlocal asked
        asked += 1
        return [ConnectionError("broken")] if asked == 1 else await each(*commands)

    monkeypatch.setattr(log._single, "each", once_in_vain)
    log._single.broke()
    await log.ping()
    assert (asked, log.failovers) == (2, 0)


async def test_a_client_that_gives_up_breaks_nothing_for_others(log: RedisEventLog) -> None:
    breaks = log._single.breaks
    asking = asyncio.create_task(log.call(("BLPOP", "nothing", 0)))
    await anyio.wait_all_tasks_blocked()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await log.ping()
    assert (log._single.breaks, log.failovers) == (breaks, 0)
