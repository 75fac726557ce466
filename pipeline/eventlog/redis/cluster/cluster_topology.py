"""The servers of a Redis Cluster, and which slots they have now."""

import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

import anyio
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ResponseError

from pipeline.eventlog.redis.cluster.hash_slots import ANYWHERE, SlotMap, everyone_of
from pipeline.eventlog.redis.server import BROKEN, Command, Server, judge
from schemas.errors import LogError, LogUnavailable

REPLY_S: Final = 3.0
"""A server that says nothing for so long may have been replaced by its replica meanwhile."""
LOOK_S: Final = 0.5
"""So long one server is asked where the slots are, before the next one is."""
_NOT_A_CLUSTER: Final = "cluster support disabled"


@dataclass(eq=False)
class Node:
    """One server of the cluster that takes writes."""

    address: str
    server: Server
    run_id: bytes = b""
    promotions: int = 0
    """How often it took a place that another had: it may lack the last events."""
    promotions_seen: int = 0
    _doubts: int = 0
    _known_at: tuple[int, int] | None = None
    _greeting: anyio.Lock = field(default_factory=anyio.Lock)
    _failure: Exception | None = None
    """Error of the last greeting, if it failed."""

    @property
    def state(self) -> tuple[int, int]:
        """State that a greeting which begins now covers: a later change calls for another greeting."""
        return self.server.breaks, self._doubts

    @property
    def known(self) -> bool:
        return self._known_at == self.state

    def greeted(self, state: tuple[int, int]) -> None:
        self._known_at, self._failure = state, None

    async def meet(self, on_connect: "OnConnect") -> None:
        """Greet it unless it is known. One greeting is for all who wait for it, also one that is in vain."""
        if self.known:
            return
        before = self._failure
        async with self._greeting:
            if self.known:
                return
            if self._failure is not None and self._failure is not before:
                raise self._failure.with_traceback(None)  # or it would grow with each who waits
            state = self.state
            try:
                await on_connect(self)
            except Exception as failure:
                self._failure = failure
                raise
            self.greeted(state)

    def doubt(self) -> None:
        """Greet it again."""
        self._doubts += 1

    def promote(self) -> None:
        self.promotions += 1
        self.doubt()


OnConnect = Callable[[Node], Awaitable[None]]


class ClusterTopology:
    """Connects on first use. Its map of the slots is as old as the last `look`."""

    def __init__(self, startup: Sequence[str], dial: Callable[[str], ConnectionPool]) -> None:
        """`startup`: host:port of some of the servers."""
        self._startup = tuple(startup)
        self._dial = dial
        self._nodes: dict[str, Node] = {}
        self._map: SlotMap | None = None
        self._looking = anyio.Lock()
        self._said_new: set[str] = set()
        """Only a redirection has named them so far: how many slots they have is not known yet."""
        self._rounds = 0
        """Of asking where the slots are, in vain or not."""
        self.looks = 0
        self.closed = False
        self.failovers = 0

    @property
    def breaks(self) -> int:
        return sum(node.server.breaks for node in self._nodes.values())

    @property
    def found(self) -> bool:
        return self._map is not None

    @property
    def addresses(self) -> list[str]:
        """Of those that take writes."""
        return [] if self._map is None else self._map.addresses

    def primary(self, slot: int) -> str:
        """The address of the server that has the slot; "" where none is known."""
        if self._map is None:
            return ""
        if slot == ANYWHERE:
            return random.choice(self._map.addresses or [""])
        return self._map.primaries[slot]

    def node(self, address: str) -> Node:
        if address not in self._nodes:
            self._nodes[address] = Node(address, Server(self._dial(address), reply_s=REPLY_S))
        return self._nodes[address]

    def move(self, moved: Mapping[int, str]) -> None:
        """A redirection is newer than what any server says of all slots."""
        for slot, address in moved.items():
            if self._map is not None and self._map.primaries[slot] != address:
                if address not in self._map.addresses:
                    self._said_new.add(address)
                    self.node(address).promote()
                self._map = self._map.with_slot(slot, address)

    async def look(
        self, *, first: Iterable[str] = (), last: Collection[str] = (), until: float = math.inf
    ) -> None:
        """Ask one server after the other where the slots are, until one answers.

        One round is for all who wait for it, also one that is in vain. Changes nothing if nobody answers, or
        not `until` then (on the event loop's clock). Raises LogError where there is no cluster.
        """
        rounds = self._rounds
        with anyio.CancelScope(deadline=until):
            async with self._looking:
                if self._rounds == rounds:
                    await self._ask_around(first, last)
                    self._rounds += 1

    async def _ask_around(self, first: Iterable[str], last: Collection[str]) -> None:
        known = [] if self._map is None else [*self._map.addresses, *self._map.replicas]
        random.shuffle(known)
        likely = [address for address in dict.fromkeys((*first, *known, *self._startup)) if address]
        for address in sorted(likely, key=lambda address: address in last):
            if (found := await self._asked(address)) is not None:
                self._adopt(found)
                await self._forget()
                return

    def _adopt(self, found: SlotMap) -> None:
        """A server that newly takes writes was a replica, known or not, and may lack the last events."""
        known = set(found.addresses) if self._map is None else set(self._map.addresses)
        promoted = set(found.addresses) - (known - self._said_new)
        self._map, self._said_new = found, set()
        self.looks += 1
        for address in promoted:
            self.node(address).promote()

    async def _asked(self, address: str) -> SlotMap | None:
        server = self.node(address).server
        with anyio.move_on_after(LOOK_S):
            try:
                [reply] = await server.once([("CLUSTER", "SLOTS")])
            except BROKEN:
                return None
            if isinstance(reply, ResponseError):
                if _NOT_A_CLUSTER in str(reply):
                    raise LogError(f"{address} is no Redis Cluster: set log.mode to single or sentinel.")
                judge(reply)
                return None
            return SlotMap.parse(reply, address)
        await server.fell_silent()
        return None

    async def _forget(self) -> None:
        """Servers that have no slots any more."""
        kept = {*self._startup} if self._map is None else {*self._map.addresses, *self._startup}
        for address in [address for address in self._nodes if address not in kept]:
            await self._nodes.pop(address).server.aclose()

    async def scan(self, pattern: str, count: int) -> AsyncGenerator[list[bytes], None]:
        """Keys that move meanwhile are found as well: where slots are on their way, by a second look.

        A server that is away raises LogUnavailable when the others have been asked.
        """
        for _ in range(2):
            before, away = await self._marks(), None
            for address in before:
                try:
                    async with aclosing(self._scan_one(address, pattern, count)) as pages:
                        async for names in pages:
                            yield names
                except LogUnavailable as failure:
                    away = failure
            if away is not None:
                raise away
            if "[" not in "".join(before.values()) and before == await self._marks():
                return

    async def _scan_one(self, address: str, pattern: str, count: int) -> AsyncGenerator[list[bytes], None]:
        cursor = b"0"
        while True:
            command: Command = ("SCAN", cursor, "MATCH", pattern, "COUNT", count, "TYPE", "hash")
            try:
                [reply] = await self.node(address).server.once([command])
            except BROKEN as failure:
                raise LogUnavailable("A part of the log does not answer.") from failure
            if isinstance(reply, Exception):
                judge(reply)
                raise LogUnavailable("A part of the log does not answer.") from reply
            cursor, names = reply
            yield names
            if cursor == b"0":
                return

    async def _marks(self) -> dict[str, str]:
        """The slots that each server reports as its own; slots that are being moved stand in brackets."""
        await self.look()
        found = {}
        for address in self.addresses:
            try:
                [reply] = await self.node(address).server.once([("CLUSTER", "NODES")])
            except BROKEN as failure:
                reply = failure
            if isinstance(reply, Exception):
                judge(reply)
                found[address] = "?"  # asking it for its keys will say so
                continue
            mine = next((line for line in reply.decode().splitlines() if "myself" in line), "")
            found[address] = " ".join(mine.split()[8:])
        return found

    async def everyone(self) -> set[str]:
        """The addresses of all servers, also of replicas and of those that are away.

        Raises LogUnavailable where nobody says so now, LogError where one refuses for good.
        """
        await self.look()
        for address in self.addresses:
            with suppress(*BROKEN):
                commands: list[Command] = [("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")]
                slots, nodes = await self.node(address).server.once(commands)
                refused = [reply for reply in (slots, nodes) if isinstance(reply, Exception)]
                for failure in refused:
                    judge(failure)
                if not refused:
                    return everyone_of(slots, nodes.decode(), address)
        raise LogUnavailable("No server of the log answers.")

    async def aclose(self) -> None:
        self.closed = True
        for node in self._nodes.values():
            await node.server.aclose()
