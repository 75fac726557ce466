"""The server hangs up at the very moment at which something is written to it.

uvloop raises RuntimeError to whoever writes before the connection's reader was told; all listeners and
workers of a process hang on its push subscriptions and waiters.
"""

from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest
from redis.asyncio.connection import AbstractConnection

from pipeline.eventlog.event_log import Subscribed
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.blocking_reads import BlockingWaiter
from pipeline.eventlog.redis.push_subscription import RedisPushSubscription
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import SessionId, new_session_id
from tests.support.eventlog.log_events import STARTED

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the gateways."""
    return "asyncio", {"use_uvloop": True}


async def hang_up(connection: AbstractConnection | None) -> None:
    """Its reader is told after whoever runs next."""
    assert connection is not None
    transport = connection._writer.transport  # type: ignore[attr-defined]
    transport.abort()
    await anyio.lowlevel.checkpoint()
    with pytest.raises(RuntimeError):
        transport.write(b"x")


async def sessions_of(log: RedisEventLog) -> list[SessionId]:
    made = [new_session_id() for _ in range(3)]
    async with Recorder(log) as recorder:
        for session in made:
            await recorder.post(session, STARTED, mode="create")
    return made


async def test_a_subscription_hears_all_that_was_asked_for_all_the_same(log: RedisEventLog) -> None:
    first, second, third = await sessions_of(log)
    subscription = log.push_subscription()
    assert isinstance(subscription, RedisPushSubscription)
    await subscription.subscribe(first)
    await subscription.subscribe(second)
    with anyio.fail_after(30):
        async with aclosing(subscription.pushes()) as heard:
            assert isinstance(await anext(heard), Subscribed)
            await hang_up(subscription._line.connection)
            await subscription.unsubscribe(second)
            await subscription.subscribe(third)
            again = set[SessionId]()
            while again != {first, third}:
                again.add((await anext(heard)).session)
    await subscription.aclose()


async def test_a_waiter_finds_nothing_new_once_and_goes_on(log: RedisEventLog) -> None:
    waiter = log.waiter()
    assert isinstance(waiter, BlockingWaiter)
    keys, words = await log.keys(), ("XREAD", "COUNT", 10)
    places = {keys.triggers(partition): "0" for partition in range(keys.partitions)}
    assert await waiter.read(words, places, 0.01) == []
    await sessions_of(log)
    await hang_up(waiter._connection)
    assert await waiter.read(words, places, 0.01) == []
    assert sum(len(entries) for _, entries in await waiter.read(words, places, 1)) == 3
    await waiter.aclose()
