"""The way to the log's server: pipelined commands, and patience with its failures."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio
from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError, ResponseError

from pipeline.eventlog.redis.server import (
    BROKEN,
    NO_FUNCTION,
    Command,
    Server,
    Silent,
    Stranger,
    dialer,
    fields,
    in_trouble,
    judge,
    lacks_group,
)
from schemas.errors import LogUnavailable
from schemas.native.native_messages import LogState

Look = Callable[[], Awaitable[bytes]]
"""Looks at the server where that is needed. The run that was looked at; b"" where it may not be asked."""
Doubt = Callable[[], bool]


class FailedOver(LogUnavailable):
    """A server came in another's place before all of a call was done; what was done may be done again."""


class AnyRedisClient(Protocol):
    """The way to one server, or to all those of a cluster.

    Only for commands that may be repeated: every one the log uses is a read or an idempotent server function.
    """

    @property
    def breaks(self) -> int:
        """How often a connection failed or led to another server: what was known may be out of date."""
        ...

    @property
    def state(self) -> LogState:
        """The worst of the servers that take writes, as the latest commands have found them."""
        ...

    async def call(
        self,
        *commands: Command,
        look: Look | None = None,
        replicas: int = 0,
        outdated: Doubt | None = None,
    ) -> list[Any]:
        """One reply per command, one round trip to each server. Raises LogUnavailable when patience is out.

        Only the run that `look` has looked at is sent anything, however old or new the connection. With
        `replicas`, the replies of a server of which fewer have what was written are Unreplicated. Where a
        look makes the call `outdated`, nothing more is sent and FailedOver is raised.
        """
        ...

    async def each(self, *commands: Command) -> list[Any]:
        """One try, for commands of which some may fail: their replies are exceptions."""
        ...

    async def partly(self, *commands: Command, look: Look | None = None) -> list[Any]:
        """As `call`, but the replies of servers that are away are exceptions. Raises if those of all are.

        So are those for streams without the consumer group.
        """
        ...

    async def everywhere(self, command: Command) -> list[Any]:
        """The replies of all servers that take writes."""
        ...

    async def everyone(self) -> list[Server]:
        """All servers that are known, also those that take no writes or are away. The caller closes them."""
        ...

    def scan(self, pattern: str, count: int) -> AsyncGenerator[list[bytes], None]:
        """The names of hashes by this pattern, page by page; some may come twice."""
        ...

    async def aclose(self) -> None: ...


class RedisClient:
    """The Wires of one server. Sends pipelines, and sends them again until the server has done them."""

    def __init__(
        self,
        address: str | ConnectionPool,
        *,
        libraries: Sequence[str],
        heal: Callable[[], object] | None = None,
        patience_s: float = 10.0,
    ) -> None:
        self._dialer = dialer(address) if isinstance(address, str) else address
        self._server = Server(self._dialer)
        self._libraries = libraries
        self._heal = heal
        self._healing: asyncio.Future[object] | None = None
        self._patience_s = patience_s

    @property
    def breaks(self) -> int:
        return self._server.breaks

    @property
    def state(self) -> LogState:
        return self._server.state

    async def call(
        self,
        *commands: Command,
        look: Look | None = None,
        replicas: int = 0,
        outdated: Doubt | None = None,
    ) -> list[Any]:
        return await self._until_done(commands, in_trouble, look, replicas, outdated)

    async def _until_done(
        self,
        commands: Sequence[Command],
        troubled: Callable[[Any], bool],
        look: Look | None,
        replicas: int = 0,
        outdated: Doubt | None = None,
    ) -> list[Any]:
        deadline = time.monotonic() + self._patience_s
        attempt = 0
        while True:
            run = b"" if look is None else await look()
            if outdated is not None and outdated():
                raise FailedOver("The log server is another one now.")
            try:
                replies = await self._server.once(commands, replicas=replicas, run=run)
                failure: Exception | None = next(filter(troubled, replies), None)
            except BROKEN as error:
                failure = error
            self._server.see(failure)
            if failure is None:
                return replies
            judge(failure)
            if self._server.closed:
                raise LogUnavailable("This process has closed its log.") from failure
            if isinstance(failure, Silent) or time.monotonic() > deadline:
                raise LogUnavailable("The log does not answer.") from failure
            with anyio.move_on_after(max(0.0, deadline - time.monotonic())):
                await self.recover(failure, attempt)
            attempt += 1

    async def each(self, *commands: Command) -> list[Any]:
        try:
            return await self._server.once(commands)
        except BROKEN as error:
            return [error] * len(commands)

    async def partly(self, *commands: Command, look: Look | None = None) -> list[Any]:
        return await self._until_done(
            commands, lambda reply: in_trouble(reply) and not lacks_group(reply), look
        )

    async def everywhere(self, command: Command) -> list[Any]:
        return await self.call(command)

    async def everyone(self) -> list[Server]:
        [about] = await self.each(("INFO", "replication"))
        replicas = await watched(self._dialer) or attached(about)
        return [Server(self._dialer), *(Server(beside(self._dialer, at)) for at in replicas)]

    async def scan(self, pattern: str, count: int) -> AsyncGenerator[list[bytes], None]:
        cursor = b"0"
        while True:
            [(cursor, names)] = await self.call(
                ("SCAN", cursor, "MATCH", pattern, "COUNT", count, "TYPE", "hash")
            )
            yield names
            if cursor == b"0":
                return

    async def recover(self, failure: Exception, attempt: int) -> None:
        """Do what may help, then wait a little longer than the time before."""
        if NO_FUNCTION in str(failure):
            await self._load_libraries()
            return
        if self._heal is not None and not isinstance(failure, ResponseError | Stranger):
            await self._healed(self._heal)
        if attempt > 0:
            await anyio.sleep(pause_s(attempt))

    async def _healed(self, heal: Callable[[], object]) -> None:
        """One thread heals for all who wait, and goes on when they have left. Raises LogUnavailable."""
        if self._healing is None or self._healing.done():
            self._healing = asyncio.get_running_loop().run_in_executor(None, heal)
            self._healing.add_done_callback(lambda healing: healing.cancelled() or healing.exception())
        try:
            await asyncio.shield(self._healing)
        except OSError as error:
            raise LogUnavailable(f"The log server cannot be started: {error}") from error

    async def _load_libraries(self) -> None:
        """Some may be there already, or be loaded by another client at this moment.

        Any other fault shows on the next try.
        """
        try:
            await self._server.once([("FUNCTION", "LOAD", code) for code in self._libraries])
        except BROKEN:
            return

    def broke(self) -> None:
        """Records that a connection outside the pool broke."""
        self._server.breaks += 1

    def dial(self) -> AbstractConnection:
        """A new connection, not connected yet; the caller's own."""
        return self._server.dial()

    async def aclose(self) -> None:
        await self._server.aclose()
        await self._dialer.aclose()


async def about_server(wire: AnyRedisClient) -> object:
    """Returns the reply of the one server to INFO server, or its refusal. Raises LogUnavailable."""
    while isinstance(about := (await wire.each(("INFO", "server")))[0], BROKEN):
        await wire.call(("PING",))  # as patient as every call
    return about


def pause_s(attempt: int, longest_s: float = 0.5) -> float:
    """A little longer each time; not the same for all who wait."""
    longest: float = min(longest_s, 0.005 * 2 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1.0)


_NOT_OURS = ("path", "host", "port", "connection_pool")


async def watched(pool: ConnectionPool) -> list[tuple[str, int]]:
    """By the first sentinel that answers, those that are away included; nothing where none watches."""
    sentinels: list[Any] = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else []
    for sentinel in sentinels:
        try:
            found = await sentinel.sentinel_slaves(pool.service_name)  # type: ignore[attr-defined]
        except (RedisError, OSError):
            continue
        return [(str(one["ip"]), int(one["port"])) for one in found]
    return []


def attached(about: object) -> list[tuple[str, int]]:
    """By INFO replication of the master: those that are there now."""
    lines = (value for name, value in fields(about).items() if name.startswith("slave") and "ip=" in value)
    said = [dict(part.partition("=")[::2] for part in line.split(",")) for line in lines]
    return [(one["ip"], int(one["port"])) for one in said]


def beside(pool: ConnectionPool, address: tuple[str, int]) -> ConnectionPool:
    """Connections made as this pool's are, to another server."""
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in _NOT_OURS}
    secure = issubclass(pool.connection_class, SSLConnection)
    host, port = address
    return ConnectionPool(SSLConnection if secure else Connection, host=host, port=port, **options)
