"""Callers try a passing error of a server again; every other one is an error, everywhere."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.eventlog.redis.blocking_reads import BlockingWaiter, Waiter
from pipeline.eventlog.redis.client import RedisClient
from pipeline.eventlog.redis.cluster.cluster_client import RedisClusterClient
from pipeline.eventlog.redis.cluster.cluster_log import PollingWaiter
from schemas.errors import LogError, LogFull, LogUnavailable
from tests.support.servers.scripted_redis import ONE_SHARD, Address, ScriptedRedis, redis_server

pytestmark = pytest.mark.anyio

PLACES = {"{p0}:triggers": "$"}
NEWS = b"*1\r\n*2\r\n$13\r\n{p0}:triggers\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\ns\r\n$1\r\nx\r\n"
FOUND = [(b"{p0}:triggers", [[b"1-0", [b"s", b"x"]]])]
LATER = [
    "BUSY Redis is busy running a script",
    "LOADING Redis is loading the dataset in memory",
    "MISCONF Redis is configured to save snapshots, but it cannot",
    "NOREPLICAS Not enough good replicas to write.",
    "READONLY You can't write against a read only replica.",
]
FULL = "OOM command not allowed when used memory > 'maxmemory'."
NEVER = ["NOGROUP No such key or consumer group", "WRONGTYPE Operation against a key"]


async def ready() -> None:
    """It is known what log this is."""


@asynccontextmanager
async def blocking(at: ScriptedRedis) -> AsyncGenerator[Waiter, None]:
    wire = RedisClient(Address(at), libraries=())
    yield BlockingWaiter(wire, ready)
    await wire.aclose()


@asynccontextmanager
async def polling(at: ScriptedRedis) -> AsyncGenerator[Waiter, None]:
    wire = RedisClusterClient(["here:1"], lambda _: Address(at))
    yield PollingWaiter(wire, ready)
    await wire.aclose()


@pytest.fixture(params=[blocking, polling], ids=["one server", "a cluster"])
async def case(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncGenerator[tuple[Waiter, Callable[[str], None]], None]:
    """A waiting call, and a function that sets the error which the server answers."""
    refusal = ""

    def reply(command: list[bytes]) -> bytes:
        if command[0] == b"CLUSTER":
            return ONE_SHARD
        return f"-{refusal}\r\n".encode() if refusal else NEWS

    def refuse(error: str) -> None:
        nonlocal refusal
        refusal = error

    async with redis_server(tmp_path / "house", reply) as at, request.param(at) as waiter:
        yield waiter, refuse
        await waiter.aclose()


@pytest.mark.parametrize("error", LATER, ids=lambda error: error.split()[0])
async def test_a_passing_refusal_is_nothing_new(
    case: tuple[Waiter, Callable[[str], None]], error: str
) -> None:
    waiter, refuse = case
    refuse(error)
    assert await waiter.read(("XREAD",), PLACES, 0.0) == []
    refuse("")
    assert await waiter.read(("XREAD",), PLACES, 0.0) == FOUND


async def test_a_full_server_is_told_at_once_and_not_asked_again(
    case: tuple[Waiter, Callable[[str], None]],
) -> None:
    waiter, refuse = case
    refuse(FULL)
    with pytest.raises(LogFull, match="full"):
        await waiter.read(("XREAD",), PLACES, 0.0)
    refuse("")
    assert await waiter.read(("XREAD",), PLACES, 0.0) == FOUND


@pytest.mark.parametrize("error", NEVER, ids=lambda error: error.split()[0])
async def test_a_lasting_refusal_is_an_error(case: tuple[Waiter, Callable[[str], None]], error: str) -> None:
    waiter, refuse = case
    refuse(error)
    with pytest.raises(LogError, match=error.split()[0]):
        await waiter.read(("XREAD",), PLACES, 0.0)
    refuse("")
    assert await waiter.read(("XREAD",), PLACES, 0.0) == FOUND


@pytest.mark.parametrize("error", [*LATER, *NEVER], ids=lambda error: error.split()[0])
async def test_a_shard_that_refuses_for_the_moment_is_away(tmp_path: Path, error: str) -> None:
    def reply(command: list[bytes]) -> bytes:
        return ONE_SHARD if command == [b"CLUSTER", b"SLOTS"] else f"-{error}\r\n".encode()

    async with redis_server(tmp_path / "house", reply) as at:
        wire = RedisClusterClient(["here:1"], lambda _: Address(at))
        with pytest.raises(LogError) as scanned:
            await anext(wire.scan("*", 10))
        with pytest.raises(LogError) as asked:
            await wire.everywhere(("DBSIZE",))
        away = LogUnavailable if error in LATER else LogError
        assert (type(scanned.value), type(asked.value)) == (away, away)
        await wire.aclose()
