"""A cluster's map names its servers, also when it is out of date. No I/O."""

from collections.abc import Sequence
from traceback import walk_tb
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import NoPermissionError, ResponseError

from pipeline.eventlog.redis.cluster.cluster_topology import ClusterTopology, Node
from pipeline.eventlog.redis.cluster.hash_slots import SLOTS, SlotMap
from pipeline.eventlog.redis.server import Command, Server
from schemas.errors import LogError, LogUnavailable

A, B, C = "a:1", "b:1", "c:1"


def mapped(first: str, second: str, *replicas: str) -> SlotMap:
    half = SLOTS // 2
    return SlotMap((first,) * half + (second,) * half, frozenset(replicas))


def known(shards: ClusterTopology) -> set[str]:
    return {address for address in (A, B, C) if shards.node(address).known}


def opened(found: SlotMap) -> ClusterTopology:
    """A cluster of which everybody has been greeted."""
    shards = ClusterTopology([A], lambda _: ConnectionPool())
    shards._adopt(found)
    for address in (A, B, C):
        shards.node(address).greeted(shards.node(address).state)
    return shards


def test_a_new_primary_is_promoted_also_where_nobody_knew_it_as_a_replica() -> None:
    for replicas in ((), (C,)):
        shards = opened(mapped(A, B, *replicas))
        shards._adopt(mapped(A, C))
        assert (known(shards), shards.node(C).promotions) == ({A, B}, 1)
        shards._adopt(mapped(A, C))
        assert shards.node(C).promotions == 1


def test_a_redirection_promotes_at_once_and_again_when_all_slots_are_known() -> None:
    shards = opened(mapped(A, B))
    shards._adopt(mapped(A, B))  # whom we asked has not heard of it
    shards.move({SLOTS - 1: C})
    assert (known(shards), shards.node(C).promotions) == ({A, B}, 1)
    shards.node(C).greeted(shards.node(C).state)
    shards.move({SLOTS - 2: C})
    assert known(shards) == {A, B, C}
    shards._adopt(mapped(A, C))
    assert (known(shards), shards.node(C).promotions) == ({A, B}, 2)


def test_a_change_during_a_greeting_calls_for_another_one() -> None:
    shards = opened(mapped(A, B))
    node = shards.node(C)
    begun = node.state
    shards._adopt(mapped(A, C))
    node.greeted(begun)
    assert not node.known
    begun = node.state
    node.server.breaks += 1
    node.greeted(begun)
    assert not node.known
    node.greeted(node.state)
    assert node.known


class Says(Server):
    """One reply to everything."""

    def __init__(self, reply: object = None) -> None:
        super().__init__(ConnectionPool())
        self._reply = reply

    async def once(self, commands: Sequence[Command], *, replicas: int = 0, run: bytes = b"") -> list[Any]:
        if self._reply is not None:
            return [self._reply] * len(commands)
        slots = [[0, SLOTS - 1, [b"a", 1, b"id"]]]
        nodes = b"id a:1@2 myself,master - 0 0 1 connected\nold d:4@5 slave,fail id 0 0 1 disconnected\n"
        return [nodes if command[1] == "NODES" else slots for command in commands]


@pytest.mark.anyio
@pytest.mark.parametrize("busy", [A, B])
async def test_everyone_is_named_by_a_server_that_is_not_busy(busy: str) -> None:
    shards = opened(mapped(A, B))
    for address in (A, B):
        shards.node(address).server = Says(ResponseError("BUSY a script runs") if address == busy else None)
    shards.look = _nothing  # type: ignore[method-assign]
    assert await shards.everyone() == {"a:1", "d:4"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ResponseError("BUSY a script runs"), LogUnavailable),
        (NoPermissionError("NOPERM no CLUSTER for you"), LogError),
    ],
)
async def test_no_server_is_named_where_all_refuse(reply: Exception, error: type[LogError]) -> None:
    shards = opened(mapped(A, B))
    for address in (A, B):
        shards.node(address).server = Says(reply)
    shards.look = _nothing  # type: ignore[method-assign]
    with pytest.raises(LogError) as told:
        await shards.everyone()
    assert type(told.value) is error


async def _nothing(**_: object) -> None:
    """Asks nobody."""


@pytest.mark.anyio
async def test_a_greeting_in_vain_tells_each_who_waited_no_more_than_the_first() -> None:
    node = Node(A, Says())
    depths: list[int] = []

    async def in_vain(_: Node) -> None:
        await anyio.lowlevel.checkpoint()
        raise LogUnavailable("The log does not answer.")

    async def meet() -> None:
        try:
            await node.meet(in_vain)
        except LogUnavailable as trouble:
            depths.append(len(list(walk_tb(trouble.__traceback__))))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(meet)
    assert len(depths) == 20
    assert max(depths[1:]) <= depths[0]
