"""One server of the log: a few connections, each with one pipeline under way."""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from pipeline.eventlog.redis.codec import Argument
from schemas.errors import LogError, LogFull
from schemas.native.native_messages import LogState


def fields(info: object) -> Mapping[str, str]:
    """By name; nothing where it may not be asked."""
    if not isinstance(info, bytes):
        return {}
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


@dataclass(frozen=True, slots=True)
class Durability:
    """Settings of a log server that decide whether acknowledged events can be lost.

    Read from INFO (sections memory and persistence), so no right to use CONFIG is needed. A setting
    that the server does not report is None, and no reason for a warning.
    """

    eviction_policy: str | None = None
    """`maxmemory-policy`."""
    append_only: bool | None = None
    """`appendonly`."""

    @classmethod
    def read(cls, info: object) -> "Durability":
        """`info`: the reply to INFO as bytes, or as the mapping that redis-py makes of it."""
        said = info if isinstance(info, Mapping) else fields(info)
        append_only = said.get("aof_enabled")
        return cls(
            eviction_policy=said.get("maxmemory_policy") or None,
            append_only=None if append_only is None else str(append_only) == "1",
        )

    @property
    def evicts_events(self) -> bool:
        """The server drops events that are nowhere else when its memory is full.

        Only what was archived may expire, so the policies `volatile-*` and `noeviction` drop nothing else.
        """
        return (self.eviction_policy or "").startswith("allkeys")

    @property
    def forgets(self) -> bool:
        """Events are lost when the server ends."""
        return self.append_only is False

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each setting that loses events, with what to do about it."""
        found = []
        if self.evicts_events:
            found.append(
                "The log server drops events when its memory is full "
                f"(maxmemory-policy {self.eviction_policy}): set maxmemory-policy volatile-ttl."
            )
        if self.forgets:
            found.append(
                "The log server forgets all events when it ends (appendonly no): set appendonly yes."
            )
        return tuple(found)


def run_id(info: object) -> bytes:
    """Of INFO server: another one after every start of a server. b"" where it may not be asked."""
    return fields(info).get("run_id", "").encode()


def check_mode(info: object) -> None:
    """Raises LogError where the server is not of the kind that this log is for."""
    if isinstance(info, bytes):
        if b"mode:cluster" in info:
            raise LogError("The log server is a node of a Redis Cluster: set log.mode to cluster.")
        if b"mode:sentinel" in info:
            raise LogError("This is a sentinel, no log server: set log.mode to sentinel, and log.sentinels.")


Command = tuple[Argument, ...]
BROKEN: Final = (ConnectionError, TimeoutError, InvalidResponse, OSError)
"""The connection is no good: what was sent may or may not have been done."""

CONNECTIONS: Final = 8
"""Pipelines under way at a time; one more waits for its turn."""
REPLY_S: Final = 5.0
"""For a whole pipeline, connecting included."""
PROBE_S: Final = 1.0
"""A server that gave a whole pipeline no reply has so long for a PING before anything else is sent."""
REPLICATED_MS: Final = 100
"""So long one pipeline waits for replicas to confirm what they were sent."""
NO_FUNCTION: Final = "Function not found"
_NO_GROUP: Final = "NOGROUP"
FULL_S: Final = 3.0
"""Every gateway announces itself more often than that, so a full server is seen by each all the time."""
FULL: Final = "The log is full: delete sessions that are not needed, or give its server more memory or disk."
_PASSING: Final = frozenset({"BUSY", "MISCONF", "NOREPLICAS"})
_OF_CLUSTERS: Final = (AskError, ClusterDownError, TryAgainError)
"""A slot is elsewhere, on its way, or for the moment nowhere."""


class Unreplicated(ResponseError):
    """The server has done it, and too few replicas confirm that they have it too."""

    def __init__(self, reply: Any) -> None:
        super().__init__("too few replicas have it")
        self.reply = reply


class Stranger(ConnectionError):
    """The connection leads to another server than the caller has looked at: nothing was sent."""


class Waited(ConnectionError):
    """Another pipeline broke while this one waited for its turn: nothing was sent."""


class Silent(ConnectionError):
    """The server gave a whole pipeline no reply, and PING none since: nothing was sent."""


_SILENCE: Final = (asyncio.TimeoutError, TimeoutError)


class Server:
    """Sends each pipeline once. Which server it is, is asked on every new connection."""

    def __init__(self, dialer: ConnectionPool, *, reply_s: float = REPLY_S) -> None:
        self._dialer = dialer
        self._reply_s = reply_s
        self._idle: list[AbstractConnection] = []
        self._busy: set[AbstractConnection] = set()
        self.closed = False
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self.breaks = 0
        """How often a connection failed or led to another server: what was known may be out of date."""
        self.silent = False
        """A pipeline got no reply in its time, and nothing did since."""
        self._asking = asyncio.Lock()
        self._rounds = 0
        """Of asking a silent server again, in vain or not."""
        self._down = False
        """The latest pipeline that is over got no replies."""
        self._full_until = 0.0
        """So long the latest refusal for want of memory is believed; time.monotonic."""
        self._run = b""
        """Of the server that idle connections lead to; its run id, where it may be asked."""

    @property
    def state(self) -> LogState:
        """As the latest commands have found it."""
        if self._down:
            return "unavailable"
        return "full" if time.monotonic() < self._full_until else "ok"

    def see(self, failure: Exception | None) -> None:
        """Error of a pipeline; None where all went well."""
        if not isinstance(failure, Waited):  # nothing was sent
            self._down = isinstance(failure, BROKEN)
        if isinstance(failure, OutOfMemoryError):
            self._full_until = time.monotonic() + FULL_S

    async def once(self, commands: Sequence[Command], *, replicas: int = 0, run: bytes = b"") -> list[Any]:
        """One try; an error reply stands among the replies as an exception.

        With `replicas`, so many must confirm what was written, or every reply is Unreplicated. With `run`,
        no other run of a server is sent anything: raises Stranger. A server that has fallen silent is sent
        a PING first: raises Silent, so that callers do not hang for as long as the server does.
        """
        if self.silent and not await self._answers():
            raise Silent("the server is silent")
        return await self._timed(commands, replicas, run)

    async def _answers(self) -> bool:
        """Ask a silent server for a sign of life. One question is for all who wait for it, also in vain."""
        rounds = self._rounds
        async with self._asking:
            if self.silent and self._rounds == rounds:
                with suppress(*_SILENCE, Waited):
                    async with asyncio.timeout(PROBE_S):
                        await self._timed([("PING",)], 0, b"")
                self._rounds += 1
        return not self.silent

    async def _timed(self, commands: Sequence[Command], replicas: int, run: bytes) -> list[Any]:
        """Send the pipeline, and note whether it was met by silence: a server that is gone is not silent."""
        try:
            replies = await self._sent(commands, replicas, run)
        except _SILENCE:
            self.silent = True
            raise
        except BROKEN as error:
            self.silent = self.silent and isinstance(error, Waited)
            raise
        self.silent = False
        return replies

    async def _sent(self, commands: Sequence[Command], replicas: int, run: bytes) -> list[Any]:
        breaks = self.breaks
        async with self._turns:
            if self.closed:
                raise ConnectionError("closed")
            if self.breaks != breaks:  # or a server that is silent is tried by all who wait, a few at a time
                raise Waited("broken while this waited for its turn")
            connection = self._idle.pop() if self._idle else self.dial()
            self._busy.add(connection)
            try:
                async with asyncio.timeout(self._reply_s):
                    here = self._run if connection.is_connected else await self._meet(connection)
                    strange = run not in (b"", here)
                    replies = [] if strange else await self._ask(connection, commands, replicas)
            except asyncio.CancelledError:  # of the caller: the server is none the worse
                await connection.disconnect(nowait=True)
                raise
            except BaseException:
                await self._broken(connection)
                raise
            finally:
                self._busy.discard(connection)
            await self._keep(connection, here)
        if strange:
            raise Stranger("another server is here now")
        return replies

    async def _ask(
        self, connection: AbstractConnection, commands: Sequence[Command], replicas: int
    ) -> list[Any]:
        wait: list[Command] = [("WAIT", replicas, REPLICATED_MS)] if replicas else []
        await send(connection, *itertools.chain(commands, wait))
        replies = [await reply_of(connection) for _ in commands]
        if wait:
            confirmed = await self._confirmation(connection)
            if not isinstance(confirmed, int) or confirmed < replicas:
                return [reply if isinstance(reply, Exception) else Unreplicated(reply) for reply in replies]
        return replies

    async def _meet(self, connection: AbstractConnection) -> bytes:
        """Connect, and ask which run of which server this is. Unless it says so it is the last one's."""
        await connected(connection)
        await send(connection, ("INFO", "server"))
        about = await reply_of(connection)
        if isinstance(about, Exception) and passes(about):
            raise ConnectionError(str(about)) from about
        before, here = self._run, run_id(about) or self._run
        self._run = here
        if before not in (b"", here):
            self.breaks += 1
            await self._hang_up()
        return here

    async def _keep(self, connection: AbstractConnection, run: bytes) -> None:
        """For the next one, unless it leads to a server in whose place another has come meanwhile."""
        if self.closed or run != self._run:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)

    async def _confirmation(self, connection: AbstractConnection) -> object:
        """None from a server that died waiting: it had done it, and whoever listened may know."""
        try:
            return await reply_of(connection)
        except BROKEN:
            await self._broken(connection)
            return None

    async def _broken(self, connection: AbstractConnection) -> None:
        """Replies may still be on their way: nobody else may take them for theirs."""
        self.breaks += 1
        await self._hang_up(connection)

    async def fell_silent(self) -> None:
        """Hangs up after a caller has waited in vain for its whole patience: further callers fail at once."""
        self.breaks += 1
        await self._hang_up()

    async def _hang_up(self, *connections: AbstractConnection) -> None:
        """Hangs up the idle connections too: after one broke, the others are likely dead as well."""
        idle, self._idle = self._idle, []
        for stale in (*connections, *idle):
            await stale.disconnect(nowait=True)

    def dial(self) -> AbstractConnection:
        """A new connection, not connected yet; the caller's own."""
        connection: AbstractConnection = self._dialer.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def aclose(self) -> None:
        """A caller that still waits for replies finds the connection broken."""
        self.closed = True
        for connection in (*self._busy, *self._idle):
            await connection.disconnect(nowait=True)
        self._idle.clear()


async def connected(connection: AbstractConnection) -> None:
    """Sending would connect, too, but past the sentinels."""
    if not connection.is_connected:
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise _closed(error) from error


async def send(connection: AbstractConnection, *commands: Command) -> None:
    """All of them in one go; raises BROKEN. Never connects: what was said on the old connection is lost."""
    if not connection.is_connected:
        raise ConnectionError("closed meanwhile")
    try:
        await connection.send_packed_command([pack(command) for command in commands])
    except RuntimeError as error:
        raise _closed(error) from error


def _closed(error: RuntimeError) -> ConnectionError:
    """uvloop says RuntimeError to who writes before its reader has been told that the server hung up."""
    return ConnectionError(f"closed meanwhile: {error}")


def pack(command: Command) -> bytes:
    packed: bytes = pack_command(command)  # type: ignore[arg-type]
    return packed


async def reply_of(connection: AbstractConnection) -> Any:
    """The next one; an error reply is an exception."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def in_trouble(reply: Any) -> bool:
    """Is it an error that calls for another try?"""
    return isinstance(reply, Exception) and not isinstance(reply, Unreplicated)


def lacks_group(reply: Any) -> bool:
    """Is the stream there no more, or not yet, or without the consumer group?"""
    return isinstance(reply, ResponseError) and str(reply).startswith(_NO_GROUP)


def passes(failure: Exception) -> bool:
    """Will the same command do later?"""
    if not isinstance(failure, ResponseError):
        return True
    if isinstance(failure, OutOfMemoryError | ReadOnlyError | AskError):
        return True
    if isinstance(failure, _OF_CLUSTERS) or NO_FUNCTION in str(failure):
        return True
    return str(failure).partition(" ")[0] in _PASSING


def judge(failure: Exception) -> None:
    """Raises LogError where the same command will not do later either, and LogFull at once where memory is
    full: nothing is gained by asking again before something was deleted."""
    if isinstance(failure, OutOfMemoryError):
        raise LogFull(FULL) from failure
    if not passes(failure):
        raise LogError(f"The log server refuses: {failure}") from failure


OPTIONS: Final[dict[str, Any]] = {
    "protocol": 2,
    "socket_timeout": None,
    "socket_connect_timeout": 2.0,
    "socket_read_size": 1 << 18,
    "retry": Retry(NoBackoff(), 0),
    "driver_info": None,
}
"""How every connection is made.

RESP2: redis-py 8.1 prints each RESP3 push into a log message. No retries: ours know what may be repeated.
No timeouts: redis-py pays for one per reply, and a task for each write; ours cover a whole pipeline.
"""


def dialer(address: str) -> ConnectionPool:
    """`address`: a redis URL, or the path of a unix socket. Reads the URL and makes connections, no more."""
    if "://" in address:
        pool: ConnectionPool = ConnectionPool.from_url(address, **OPTIONS)
        return pool
    return ConnectionPool(connection_class=UnixDomainSocketConnection, path=address, **OPTIONS)
