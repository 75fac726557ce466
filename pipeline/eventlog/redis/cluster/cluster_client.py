"""The way to a Redis Cluster: each command goes where its slot is, and follows it when it moves."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import anyio
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import AskError, MovedError, ResponseError

from pipeline.eventlog.redis.client import Doubt, FailedOver, Look, pause_s
from pipeline.eventlog.redis.cluster.cluster_topology import ClusterTopology, OnConnect
from pipeline.eventlog.redis.cluster.hash_slots import completed, from_slot_on, slot_of, slot_of_command
from pipeline.eventlog.redis.server import (
    BROKEN,
    NO_FUNCTION,
    Command,
    Server,
    Silent,
    in_trouble,
    judge,
    lacks_group,
)
from schemas.errors import LogError, LogUnavailable
from schemas.native.native_messages import LogState

PAUSE_S: Final = 0.1
"""At most so much is added to what a failover takes."""
_ASKING: Final[Command] = ("ASKING",)
_CHASES: Final = 3
"""So often a slot is followed without a pause."""


@dataclass
class _Sent:
    """The commands of one call that have no reply yet."""

    commands: Sequence[Command]
    slots: Sequence[int]
    replicas: int
    replies: list[Any]
    until: float
    """The end of the caller's patience, on the event loop's clock."""
    outdated: Doubt | None = None
    asks: dict[int, str] = field(default_factory=dict)
    """By place among the commands: the server to ask this once."""

    def ways(
        self, todo: Sequence[int], primary: Callable[[int], str]
    ) -> Mapping[tuple[str, bool], list[int]]:
        """Groups the commands by address, and by whether the slot is still being moved there."""
        found: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for place in todo:
            ask = self.asks.get(place)
            found[ask or primary(self.slots[place]), ask is not None].append(place)
        return found

    def answer(self, places: Sequence[int], replies: Sequence[Any]) -> Mapping[int, Exception]:
        """Keep the good replies; the others by place."""
        for place, reply in zip(places, replies, strict=True):
            self.replies[place] = reply
        return {place: self.replies[place] for place in places if in_trouble(self.replies[place])}


class RedisClusterClient:
    """The Wires of a cluster.

    The pipelines of one call go to all servers at once, and again until all is done: a server that fails
    delays only the calls that need it.
    """

    def __init__(
        self, startup: Sequence[str], dial: Callable[[str], ConnectionPool], *, patience_s: float = 10.0
    ) -> None:
        """`startup`: host:port of some of its servers."""
        self.shards = ClusterTopology(startup, dial)
        self._dial = dial
        self._patience_s = patience_s
        self.on_connect: OnConnect | None = None
        """Called before a server is sent anything after a break. Raises LogForeign where it is another."""

    @property
    def breaks(self) -> int:
        return self.shards.breaks

    @property
    def state(self) -> LogState:
        found = {self.shards.node(address).server.state for address in self.shards.addresses}
        return "unavailable" if "unavailable" in found else "full" if "full" in found else "ok"

    # ---------------------------------------------------------------- commands

    async def call(
        self,
        *commands: Command,
        look: Look | None = None,
        replicas: int = 0,
        outdated: Doubt | None = None,
    ) -> list[Any]:
        """`look` is not needed: every server is greeted, and again after every break."""
        sent = self._sent(commands, replicas, outdated)
        todo: Sequence[int] = range(len(commands))
        attempt = 0
        while True:
            failures = await self._try(sent, todo)
            if not failures:
                return sent.replies
            for failure in failures.values():
                judge(failure)
            failure = next(iter(failures.values()))
            if self.shards.closed:
                raise LogUnavailable("This process has closed its log.") from failure
            if anyio.current_time() > sent.until:
                raise LogUnavailable("A part of the log does not answer.") from failure
            sent.asks = await self._mend(sent, failures, attempt)
            if self._silent(sent, failures):
                raise LogUnavailable("A part of the log does not answer.") from failure
            todo = list(from_slot_on(sent.slots, failures))
            attempt += 1

    def _sent(self, commands: Sequence[Command], replicas: int = 0, outdated: Doubt | None = None) -> _Sent:
        slots = [slot_of_command(command) for command in commands]
        until = anyio.current_time() + self._patience_s
        return _Sent(commands, slots, replicas, [None] * len(commands), until, outdated)

    async def each(self, *commands: Command) -> list[Any]:
        sent = self._sent(commands)
        failures = _but_groups(await self._try(sent, range(len(commands))))
        if failures:
            await self._mend(sent, failures, 0)
        return sent.replies

    async def partly(self, *commands: Command, look: Look | None = None) -> list[Any]:
        sent = self._sent(commands)
        todo: Sequence[int] = range(len(commands))
        for attempt in range(_CHASES):
            failures = _but_groups(await self._try(sent, todo))
            for failure in failures.values():
                judge(failure)
            if not failures:
                break
            sent.asks = await self._mend(sent, failures, attempt)
            if self._silent(sent, failures):
                break
            todo = list(from_slot_on(sent.slots, failures))
        if commands and all(isinstance(r, Exception) and not lacks_group(r) for r in sent.replies):
            raise LogUnavailable("The log does not answer.") from sent.replies[0]
        return sent.replies

    async def everywhere(self, command: Command) -> list[Any]:
        if not self.shards.found:
            await self.shards.look()
        replies: list[Any] = []

        async def ask(address: str) -> None:
            for _ in range(2):  # a connection may have died long ago, unnoticed
                reply = await self._ask(address, command)
                if not isinstance(reply, BROKEN) or isinstance(reply, Silent):
                    break
            replies.append(reply)

        async with anyio.create_task_group() as tasks:
            for address in self.shards.addresses:
                tasks.start_soon(ask, address)
        if not replies:
            raise LogUnavailable("No server of the log answers.")
        for failure in (reply for reply in replies if isinstance(reply, Exception)):
            _raise(failure)
        return replies

    async def everyone(self) -> list[Server]:
        return [Server(self._dial(address)) for address in await self.shards.everyone()]

    async def _ask(self, address: str, command: Command) -> Any:
        """The reply of one server, which may be an exception."""
        try:
            return (await self._once(address, [command], asking=False, replicas=0))[0]
        except LogError as error:
            return error

    async def _try(self, sent: _Sent, todo: Sequence[int]) -> Mapping[int, Exception]:
        """One attempt at these; what went wrong, by place."""
        if not self.shards.found:
            await self.shards.look(until=sent.until)
        failures: dict[int, Exception] = {}
        refused: list[LogError] = []

        async def go(address: str, asking: bool, places: Sequence[int]) -> None:
            commands = [sent.commands[place] for place in places]
            try:
                replies = await self._once(address, commands, asking, sent.replicas, sent.outdated)
            except LogError as error:
                refused.append(error)
                return
            failures.update(sent.answer(places, replies))

        ways = [(*way, places) for way, places in sent.ways(todo, self.shards.primary).items()]
        if len(ways) == 1:
            await go(*ways[0])
        else:
            async with anyio.create_task_group() as tasks:
                for way in ways:
                    tasks.start_soon(go, *way)
        if refused:
            raise refused[0]
        return failures

    async def _once(
        self,
        address: str,
        commands: Sequence[Command],
        asking: bool,
        replicas: int,
        outdated: Doubt | None = None,
    ) -> list[Any]:
        if not address:
            return [ConnectionRefusedError("no server has this slot")] * len(commands)
        node = self.shards.node(address)
        try:
            if self.on_connect is not None:
                await node.meet(self.on_connect)
            if outdated is not None and outdated():
                raise FailedOver(f"The log server {address} came in another's place.")
            if not asking:
                replies = await node.server.once(commands, replicas=replicas, run=node.run_id)
                node.server.see(next(filter(in_trouble, replies), None))
                return replies
            pairs = [word for command in commands for word in (_ASKING, command)]
            return (await node.server.once(pairs, replicas=replicas, run=node.run_id))[1::2]
        except (*BROKEN, ResponseError) as failure:
            node.server.see(failure)
            return [failure] * len(commands)

    async def _mend(self, sent: _Sent, failures: Mapping[int, Exception], attempt: int) -> dict[int, str]:
        """Learn where things are now, and wait where waiting may help; whom to ask next time, by place."""
        asks: dict[int, str] = {}
        dead: set[str] = set()
        moved: dict[int, str] = {}
        for place, failure in failures.items():
            at = self.shards.primary(sent.slots[place])
            if isinstance(failure, MovedError):
                moved[sent.slots[place]] = completed(str(failure).rpartition(" ")[2], at)
            elif isinstance(failure, AskError):
                asks[place] = completed(str(failure).rpartition(" ")[2], at)
            elif NO_FUNCTION in str(failure):
                self.shards.node(at).doubt()
            else:
                dead.add(at)
        if moved or dead:
            await self.shards.look(first=moved.values(), last=dead, until=sent.until)
            self.shards.move(moved)
        if attempt > 0 and (dead or attempt > _CHASES):
            await anyio.sleep(pause_s(attempt, PAUSE_S))
        return asks

    def _silent(self, sent: _Sent, failures: Mapping[int, Exception]) -> bool:
        """Does a server say nothing at all that still has one of the slots after the latest look?"""
        places = [place for place, failure in failures.items() if isinstance(failure, Silent)]
        at = {self.shards.primary(sent.slots[place]) for place in places} - {""}
        return any(self.shards.node(address).server.silent for address in at)

    # ---------------------------------------------------------------- servers

    async def attend(self) -> None:
        """Refreshes the slots, and checks that every server is the same. Errors reach the caller."""
        await self.shards.look()
        async with anyio.create_task_group() as tasks:
            for address in self.shards.addresses:
                tasks.start_soon(self._ask, address, ("PING",))

    def shard_of(self, key: str) -> str:
        """The server that has this key, as far as we know."""
        return self.shards.primary(slot_of(key))

    def scan(self, pattern: str, count: int) -> AsyncGenerator[list[bytes], None]:
        return self.shards.scan(pattern, count)

    async def aclose(self) -> None:
        await self.shards.aclose()


def _but_groups(failures: Mapping[int, Exception]) -> Mapping[int, Exception]:
    """The caller makes the group that is missing: neither a look nor another try does."""
    return {place: failure for place, failure in failures.items() if not lacks_group(failure)}


def _raise(failure: Exception) -> NoReturn:
    if isinstance(failure, LogError):
        raise failure
    judge(failure)
    raise LogUnavailable("A part of the log does not answer.") from failure
