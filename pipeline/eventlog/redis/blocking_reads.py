"""Reads that wait on the server for what comes next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection

from pipeline.eventlog.redis.client import RedisClient
from pipeline.eventlog.redis.server import (
    BROKEN,
    REPLY_S,
    Command,
    connected,
    judge,
    reply_of,
    send,
)

Ready = Callable[[], Awaitable[object]]
Streams = list[tuple[bytes, list[Any]]]
"""Of each stream that has something new: its name and its entries."""


class Waiter(Protocol):
    """For one reader. Never reads twice: a break, or a server that is busy, is the same as nothing new."""

    async def read(self, words: Command, places: Mapping[str, str], wait_s: float) -> Streams:
        """XREAD (`words` are what stands before BLOCK) from these places of these streams.

        Raises LogError where the server will refuse it later as well.
        """
        ...

    async def aclose(self) -> None: ...


class BlockingWaiter:
    """On one server: one command for all streams, on a connection of its own."""

    def __init__(self, client: RedisClient, ready: Ready) -> None:
        self._client = client
        self._ready = ready
        self._connection: AbstractConnection | None = None
        self._failures = 0

    async def read(self, words: Command, places: Mapping[str, str], wait_s: float) -> Streams:
        await self._ready()  # after a break: is it the same log?
        block: Command = ("BLOCK", max(1, int(wait_s * 1000)), "STREAMS")
        try:
            reply = await self._once((*words, *block, *places, *places.values()), wait_s)
        except BROKEN as failure:
            self._client.broke()
            reply = failure
        if isinstance(reply, Exception):
            judge(reply)
            self._failures += 1
            await self._client.recover(reply, self._failures)
            return []
        self._failures = 0
        return [(name, entries) for name, entries in reply or ()]

    async def _once(self, command: Command, wait_s: float) -> Any:
        connection = self._connection or self._client.dial()
        self._connection = None  # a reply may be on its way if this is cancelled: then it is nobody's
        try:
            async with asyncio.timeout(wait_s + REPLY_S):
                await connected(connection)
                await send(connection, command)
                reply = await reply_of(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return reply

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)
            self._connection = None
