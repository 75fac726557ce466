"""The announcement connection of a Redis log: shard channels, subscribed again after every break."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from pipeline.eventlog.event_log import Push, Subscribed
from pipeline.eventlog.redis.client import RedisClient
from pipeline.eventlog.redis.codec import decode_push
from pipeline.eventlog.redis.server import BROKEN, REPLY_S, connected, send
from schemas.errors import LogError
from schemas.ids import SessionId

RETRY_S: Final = 0.5
SILENCE_S: Final = 3.0
"""After so long without a word the server is asked; after twice that the connection is given up."""
_logger = logging.getLogger(__name__)


class PushConnection:
    """A connection to one server that announces appends, and is given up when it stays silent."""

    def __init__(self) -> None:
        self.connection: AbstractConnection | None = None
        """None: there is nothing to say, as the next one begins with all channels."""
        self._heard_at = 0.0

    async def begin(self, connection: AbstractConnection, channels: Iterable[bytes]) -> None:
        async with asyncio.timeout(REPLY_S):
            await connected(connection)
        self._heard_at = time.monotonic()
        # Sessions that join during the write below go out by `say`; being subscribed twice is harmless.
        self.connection = connection
        if wishes := [(b"SSUBSCRIBE", channel) for channel in channels]:
            await send(connection, *wishes)

    async def read(self, connection: AbstractConnection) -> Any:
        """The next message of the server."""
        message = await connection.read_response()
        self._heard_at = time.monotonic()
        return message

    async def say(self, *words: bytes) -> None:
        if self.connection is not None:
            try:
                await send(self.connection, words)
            except BROKEN:
                return  # the reader finds the same break and repairs it

    async def check(self) -> None:
        """A server that stays silent after being asked is given up; the reader then connects anew."""
        silent_s = time.monotonic() - self._heard_at
        if self.connection is None or silent_s < SILENCE_S:
            return
        if silent_s > 2 * SILENCE_S:
            await self.close()
        else:
            await self.say(b"PING")

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.disconnect(nowait=True)


class RedisPushSubscription:
    """A push subscription over one connection. Channel names are those of the sessions' meta keys."""

    def __init__(self, client: RedisClient, channel_of: Callable[[SessionId], Awaitable[str]]) -> None:
        self._client = client
        self._channel_of = channel_of
        self._sessions: dict[bytes, SessionId] = {}
        self._order = anyio.Lock()
        self._line = PushConnection()
        self._closed = False

    async def subscribe(self, session: SessionId) -> None:
        async with self._order:
            channel = (await self._channel_of(session)).encode()
            self._sessions[channel] = session
            await self._line.say(b"SSUBSCRIBE", channel)

    async def unsubscribe(self, session: SessionId) -> None:
        async with self._order:
            for channel in [channel for channel, known in self._sessions.items() if known == session]:
                del self._sessions[channel]
                await self._line.say(b"SUNSUBSCRIBE", channel)

    async def pushes(self) -> AsyncGenerator[Push | Subscribed, None]:
        attempt = 0
        while not self._closed:
            connection = self._client.dial()
            try:
                await self._line.begin(connection, self._sessions)
                attempt = 0
                while True:
                    heard = understand(self._sessions, await self._line.read(connection))
                    if heard is not None:
                        yield heard
            except (*BROKEN, ResponseError, LogError) as failure:
                attempt += 1
                await self._recover(failure, attempt)
            finally:
                self._line.connection = None
                await connection.disconnect(nowait=True)

    async def _recover(self, failure: Exception, attempt: int) -> None:
        """Listeners wait as long as it takes: what cannot be healed now is tried again."""
        try:
            await self._client.recover(failure, attempt)
        except LogError as error:
            _logger.warning("the log cannot be heard: %s", error)
            await anyio.sleep(RETRY_S)

    async def check(self) -> None:
        await self._line.check()

    async def aclose(self) -> None:
        self._closed = True
        await self._line.close()


def understand(sessions: Mapping[bytes, SessionId], message: Any) -> Push | Subscribed | None:
    """Decodes a message of the server, if it is about one of these sessions."""
    if not isinstance(message, list) or len(message) != 3:
        return None
    kind, channel, body = message
    session = sessions.get(channel)
    if session is None:
        return None
    if kind == b"smessage":
        return decode_push(session, body)
    return Subscribed(session) if kind == b"ssubscribe" else None
