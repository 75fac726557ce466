"""One Redis server as the log needs it: pipelined commands, few connections, patience with its failures."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from pipeline.log.codec import Argument
from schemas.errors import LogError, LogUnavailable

Command = tuple[Argument, ...]
BROKEN: Final = (ConnectionError, TimeoutError, InvalidResponse, OSError)
"""The connection is no good: what was sent may or may not have been done."""

CONNECTIONS: Final = 8
"""Pipelines under way at a time; one more waits for its turn."""
REPLY_S: Final = 5.0
"""For a whole pipeline, connecting included."""
_PASSING: Final = frozenset({"BUSY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"})
_NO_FUNCTION: Final = "Function not found"


class Wire:
    """Sends pipelines, and sends them again until the server has done them.

    Only for commands that may be repeated: every one the log uses is a read or an idempotent server function.
    """

    def __init__(
        self,
        address: str,
        *,
        libraries: Sequence[str],
        heal: Callable[[], object] | None = None,
        patience_s: float = 10.0,
    ) -> None:
        self._dialer = _dialer(address)
        self._libraries = libraries
        self._heal = heal
        self._patience_s = patience_s
        self._idle: list[AbstractConnection] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self.breaks = 0
        """How many times a connection has failed: what was known of the server may be out of date."""

    async def call(
        self, *commands: Command, before_again: Callable[[], Awaitable[object]] | None = None
    ) -> list[Any]:
        """One reply per command, one round trip. Raises LogUnavailable when patience is out.

        `before_again` may look at the server before the commands are sent to it on a new connection.
        """
        deadline = time.monotonic() + self._patience_s
        attempt = 0
        while True:
            try:
                replies = await self._once(commands)
                trouble: Exception | None = next((r for r in replies if isinstance(r, ResponseError)), None)
            except BROKEN as error:
                trouble = error
            if trouble is None:
                return replies
            if not _passes(trouble):
                raise LogError(f"The log server refuses: {trouble}") from trouble
            if time.monotonic() > deadline:
                raise LogUnavailable("The log does not answer.") from trouble
            await self.recover(trouble, attempt)
            attempt += 1
            if before_again is not None:
                await before_again()

    async def _once(self, commands: Sequence[Command]) -> list[Any]:
        """One try; an error reply stands among the replies as an exception."""
        async with self._turns:
            connection = self._idle.pop() if self._idle else self.dial()
            try:
                async with asyncio.timeout(REPLY_S):
                    await connection.send_packed_command([pack(command) for command in commands])
                    replies = [await _reply(connection) for _ in commands]
            except BaseException:
                # Replies may still be on their way: nobody else may take them for theirs.
                self.breaks += 1
                await self._hang_up(connection)
                raise
            self._idle.append(connection)
            return replies

    async def _hang_up(self, connection: AbstractConnection) -> None:
        """Where one connection broke the others are likely dead as well."""
        idle, self._idle = self._idle, []
        for stale in (connection, *idle):
            await stale.disconnect(nowait=True)

    async def recover(self, trouble: Exception, attempt: int) -> None:
        """Do what may help, then wait a little longer than the time before."""
        if _NO_FUNCTION in str(trouble):
            await self._load_libraries()
            return
        if self._heal is not None and not isinstance(trouble, ResponseError):
            await anyio.to_thread.run_sync(self._heal, abandon_on_cancel=True)
        if attempt > 0:
            await anyio.sleep(min(0.5, 0.005 * 2**attempt) * random.uniform(0.5, 1.0))

    async def _load_libraries(self) -> None:
        """Some may be there already, or be loaded by another client at this moment.

        Whatever else is wrong shows on the next try.
        """
        try:
            await self._once([("FUNCTION", "LOAD", code) for code in self._libraries])
        except BROKEN:
            return

    def dial(self) -> AbstractConnection:
        """A new connection, not connected yet; the caller's own."""
        connection: AbstractConnection = self._dialer.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


def pack(command: Command) -> bytes:
    packed: bytes = pack_command(command)  # type: ignore[arg-type]
    return packed


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _passes(trouble: Exception) -> bool:
    """Will the same command do later?"""
    if not isinstance(trouble, ResponseError):
        return True
    if isinstance(trouble, OutOfMemoryError | ReadOnlyError) or _NO_FUNCTION in str(trouble):
        return True
    return str(trouble).partition(" ")[0] in _PASSING


def _dialer(address: str) -> ConnectionPool:
    """`address`: a redis URL, or the path of a unix socket. Used to read the URL and make connections only.

    RESP2: redis-py 8.1 prints each RESP3 push into a log message. No retries: ours know what may be repeated.
    No timeouts: redis-py pays for one per reply, and a task for each write; ours cover a whole pipeline.
    """
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": 2.0,
        "socket_read_size": 1 << 18,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
    }
    if "://" in address:
        pool: ConnectionPool = ConnectionPool.from_url(address, **options)
        return pool
    return ConnectionPool(connection_class=UnixDomainSocketConnection, path=address, **options)
