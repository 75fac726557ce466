"""A cluster of which no server says a word: callers are told when their patience is out."""

import asyncio
from typing import Any, cast

import anyio
import pytest
from redis.asyncio.connection import ConnectionPool

from pipeline.eventlog.redis.cluster.cluster_client import PAUSE_S, RedisClusterClient
from pipeline.eventlog.redis.cluster.cluster_topology import LOOK_S, REPLY_S, Node
from pipeline.eventlog.redis.cluster.hash_slots import SLOTS
from schemas.errors import LogUnavailable
from tests.support.jumping_loop import JumpingLoop

pytestmark = pytest.mark.anyio
SERVERS = [f"10.0.0.{number}:6379" for number in range(1, 7)]
PATIENCE_S = 10.0
MANY = 200
GET = ("GET", "key")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": JumpingLoop}


class Servers:
    """All of them: the first has all slots, and they answer until they are frozen."""

    def __init__(self) -> None:
        self.frozen = False
        self.asked = 0
        """How often one of them was asked where the slots are."""

    def dial(self, address: str) -> ConnectionPool:
        return cast("ConnectionPool", _Door(self))


class _Door:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def make_connection(self) -> "_Connection":
        return _Connection(self._servers)


class _Connection:
    """Connection as Server needs it. A frozen server's machine still accepts connections."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._replies: list[object] = []
        self.is_connected = False

    async def connect(self) -> None:
        self.is_connected = True

    async def disconnect(self, *, nowait: bool) -> None:
        self.is_connected = False

    async def send_packed_command(self, commands: list[bytes]) -> None:
        for command in commands:
            where = b"CLUSTER" in command
            self._servers.asked += where
            host, _, port = SERVERS[0].partition(":")
            slots = [[0, SLOTS - 1, [host.encode(), int(port), b"id"]]]
            self._replies.append(slots if where else b"reply")

    async def read_response(self) -> object:
        await asyncio.sleep(0.001)
        if self._servers.frozen:
            await anyio.sleep_forever()
        return self._replies.pop(0)


async def refused(wire: RedisClusterClient) -> list[float]:
    """When each of many callers was told, in seconds."""
    begun, told = anyio.current_time(), list[float]()

    async def call() -> None:
        with pytest.raises(LogUnavailable):
            await wire.call(GET)
        told.append(anyio.current_time() - begun)

    async with anyio.create_task_group() as callers:
        for _ in range(MANY):
            callers.start_soon(call)
    return told


async def test_a_client_that_has_never_seen_a_server_waits_no_longer_than_its_patience() -> None:
    servers = Servers()
    servers.frozen = True
    told = await refused(RedisClusterClient(SERVERS, servers.dial, patience_s=PATIENCE_S))
    assert len(told) == MANY
    assert max(told) <= PATIENCE_S + LOOK_S
    assert servers.asked <= (PATIENCE_S / LOOK_S) + len(SERVERS)


async def test_a_cluster_that_falls_silent_is_asked_and_greeted_once_for_all_who_wait() -> None:
    servers, greeted = Servers(), list[str]()
    wire = RedisClusterClient(SERVERS, servers.dial, patience_s=PATIENCE_S)

    async def on_connect(node: Node) -> None:
        greeted.append(node.address)
        [reply] = await node.server.once([("PING",)])
        assert reply == b"reply"

    wire.on_connect = on_connect
    assert await wire.call(GET) == [b"reply"]
    before = servers.asked
    servers.frozen = True
    told = await refused(wire)
    assert max(told) <= PATIENCE_S + PAUSE_S + REPLY_S
    assert servers.asked - before <= (PATIENCE_S / LOOK_S) + len(SERVERS)
    assert len(greeted) <= 1 + (PATIENCE_S + REPLY_S) / REPLY_S
    servers.frozen = False
    assert await wire.call(GET) == [b"reply"]
