"""A server in another's place is looked at before it is sent anything, also where no connection broke."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.eventlog.redis.client import FailedOver, RedisClient
from pipeline.eventlog.redis.cluster.cluster_client import RedisClusterClient
from pipeline.eventlog.redis.cluster.cluster_topology import Node
from pipeline.eventlog.redis.server import CONNECTIONS, run_id
from tests.support.eventually import eventually
from tests.support.servers.scripted_redis import ONE_SHARD, Address, Caller, ScriptedRedis, redis_server

pytestmark = pytest.mark.anyio

TURNS = 50
"""Of the event loop: more than a call and its look need, with both ends in this process."""


@asynccontextmanager
async def two_redis_servers(
    folder: Path,
) -> AsyncGenerator[tuple[ScriptedRedis, ScriptedRedis, Address, RedisClient], None]:
    """The address leads to the first."""
    async with redis_server(folder / "old") as old, redis_server(folder / "new") as new:
        address = Address(old)
        wire = RedisClient(address, libraries=())
        yield old, new, address, wire
        await wire.aclose()


@asynccontextmanager
async def replaced(folder: Path) -> AsyncGenerator[tuple[ScriptedRedis, RedisClient, Caller], None]:
    """The new house, while a call hangs in the old one, where the caller has spoken before."""
    async with two_redis_servers(folder) as (old, new, address, wire), anyio.create_task_group() as tasks:
        caller = Caller(wire)
        await caller.say("first")
        old.awake.clear()
        tasks.start_soon(caller.say, "hangs")
        await eventually(lambda: old.heard[1:] == [[b"hangs"]])
        address.redis_server = new
        yield new, wire, caller
        tasks.cancel_scope.cancel()


async def test_a_new_connection_to_another_server_is_sent_nothing_before_the_look(tmp_path: Path) -> None:
    async with replaced(tmp_path) as (new, wire, caller):
        with pytest.raises(FailedOver):
            await wire.call(("fresh",), look=caller.look, outdated=lambda: caller.run != b"old")
        assert (caller.looks, new.heard) == ([b"old", b"new"], [])
        await caller.say("again")
        assert (caller.looks, new.heard) == ([b"old", b"new"], [[b"again"]])


async def test_a_client_that_waited_for_a_turn_meanwhile_looks_first(tmp_path: Path) -> None:
    async with two_redis_servers(tmp_path) as (old, new, address, wire), anyio.create_task_group() as tasks:
        caller, hangs = Caller(wire), anyio.CancelScope()
        await caller.say("first")
        old.awake.clear()

        async def hang() -> None:
            with hangs:
                await caller.say("hangs")

        async def speak() -> None:
            with pytest.raises(FailedOver):
                await caller.say_here()

        tasks.start_soon(hang)
        for _ in range(CONNECTIONS - 1):
            tasks.start_soon(caller.say, "hangs")
        await eventually(lambda: len(wire._server._busy) == CONNECTIONS)
        async with anyio.create_task_group() as late:
            late.start_soon(speak)
            await anyio.wait_all_tasks_blocked()
            address.redis_server = new
            hangs.cancel()
        assert (caller.run, new.heard) == (b"new", [])
        tasks.cancel_scope.cancel()


async def test_a_shard_that_came_back_meanwhile_is_greeted_first(tmp_path: Path) -> None:
    greeted: list[bytes] = []

    async def on_connect(node: Node) -> None:
        [about] = await node.server.once([("INFO", "server")])
        node.run_id = run_id(about)
        greeted.append(node.run_id)

    def reply(command: list[bytes]) -> bytes:
        return ONE_SHARD if command[0] == b"CLUSTER" else b"+OK\r\n"

    async def speak() -> None:
        with pytest.raises(FailedOver):
            await wire.call(("GET", "key"), outdated=lambda: greeted[-1] != b"old")

    async with redis_server(tmp_path / "old", reply) as old, redis_server(tmp_path / "new", reply) as new:
        address = Address(old)
        wire = RedisClusterClient(["here:1"], lambda _: address)
        wire.on_connect = on_connect
        await wire.call(("GET", "key"))
        server, hangs = wire.shards.node("here:1").server, anyio.CancelScope()
        old.awake.clear()

        async def hang() -> None:
            with hangs:
                await wire.call(("GET", "key"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            for _ in range(CONNECTIONS - 1):
                tasks.start_soon(wire.call, ("GET", "key"))
            await eventually(lambda: len(server._busy) == CONNECTIONS)
            async with anyio.create_task_group() as late:
                late.start_soon(speak)
                await anyio.wait_all_tasks_blocked()
                address.redis_server = new
                hangs.cancel()
            assert greeted == [b"old", b"new"]
            assert [b"GET", b"key"] not in new.heard
            tasks.cancel_scope.cancel()
        await wire.aclose()


async def test_many_who_find_a_new_server_look_at_it_and_all_are_served(tmp_path: Path) -> None:
    async with replaced(tmp_path) as (new, wire, caller):
        async with anyio.create_task_group() as many:
            for number in range(100):
                many.start_soon(caller.say, str(number))
        assert sorted(new.heard) == sorted([str(number).encode()] for number in range(100))
        assert wire.breaks == 1


async def test_a_late_answer_of_the_old_server_brings_nobody_back_to_it(tmp_path: Path) -> None:
    async with two_redis_servers(tmp_path) as (old, new, address, wire):
        caller = Caller(wire)
        await caller.say("first")
        old.awake.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.say, "hangs")
            await eventually(lambda: len(wire._server._busy) == 1)
            address.redis_server = new
            await caller.say("one")
            old.awake.set()
        for _ in range(CONNECTIONS):
            await caller.say("two")
        assert (len(old.heard), len(new.heard)) == (2, 1 + CONNECTIONS)


async def test_a_client_that_meets_the_new_server_last_leaves_no_way_to_the_old_one(tmp_path: Path) -> None:
    async with two_redis_servers(tmp_path) as (old, new, address, wire):
        caller = Caller(wire)
        await caller.say("first")
        old.awake.clear()
        new.awake.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.say, "hangs")
            await eventually(lambda: len(wire._server._busy) == 1)
            address.redis_server = new
            tasks.start_soon(caller.say, "meets")
            await eventually(lambda: len(wire._server._busy) == 2)
            old.awake.set()
            await eventually(lambda: len(wire._server._idle) == 1)
            new.awake.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.say, "last")
            tasks.start_soon(caller.say, "last")
        assert (old.heard, new.heard) == ([[b"first"], [b"hangs"]], [[b"meets"], [b"last"], [b"last"]])


async def test_a_server_that_may_not_be_asked_is_taken_for_the_same(tmp_path: Path) -> None:
    async with replaced(tmp_path) as (new, _, caller):
        new.tells = False
        await caller.say("second")
        assert new.heard == [[b"second"]]


ACTS = st.sampled_from(["say", "say", "sleep", "wake", "move", "drop"])
"""Somebody speaks; the server hangs, or goes on; another one is there now; somebody gives up."""


@given(st.lists(st.tuples(ACTS, st.booleans()), min_size=8, max_size=40))
def test_each_server_hears_only_clients_that_know_it_in_any_order_of_events(
    steps: list[tuple[str, bool]],
) -> None:
    """After some steps, those that are marked, everybody goes on as far as they can."""
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, bool]]) -> None:
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as opened:
            redis_servers = [
                await opened.enter_async_context(redis_server(Path(folder) / name)) for name in "abcd"
            ]
            address = Address(redis_servers[0])
            wire = RedisClient(address, libraries=())
            caller, said = Caller(wire), list[asyncio.Task[None]]()
            for step, rest in steps:
                act(step, redis_servers, address, caller, said)
                for _ in range(TURNS if rest else 0):
                    await asyncio.sleep(0)
            for each in redis_servers:
                each.awake.set()
            ends = await asyncio.gather(*said, return_exceptions=True)
            await wire.aclose()
        for each in redis_servers:
            assert {run for _, run in each.heard} <= {each.run}
        assert {type(end) for end in ends} <= {type(None), FailedOver, asyncio.CancelledError}


def act(
    step: str,
    redis_servers: list[ScriptedRedis],
    address: Address,
    caller: Caller,
    said: list[asyncio.Task[None]],
) -> None:
    at = redis_servers.index(address.redis_server)
    match step:
        case "say":
            said.append(asyncio.create_task(caller.say_here()))
        case "sleep":
            address.redis_server.awake.clear()
        case "wake":
            address.redis_server.awake.set()
        case "move":
            address.redis_server = redis_servers[(at + 1) % len(redis_servers)]
        case _:
            for task in [task for task in said if not task.done()][:1]:
                task.cancel()
