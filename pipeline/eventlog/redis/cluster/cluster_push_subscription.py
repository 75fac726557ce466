"""The announcements of a cluster: one connection to each shard that has sessions we listen to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import anyio
from redis.exceptions import MovedError, ResponseError

from pipeline.eventlog.event_log import Push, Subscribed
from pipeline.eventlog.redis.client import pause_s
from pipeline.eventlog.redis.cluster.cluster_topology import ClusterTopology
from pipeline.eventlog.redis.cluster.hash_slots import completed, slot_of
from pipeline.eventlog.redis.push_subscription import RETRY_S, PushConnection, understand
from pipeline.eventlog.redis.server import BROKEN
from schemas.errors import LogError
from schemas.ids import SessionId

HEARD: Final = 256
"""Announcements that wait to be taken; beyond it nothing is read, and the servers' buffers fill."""
_logger = logging.getLogger(__name__)


class _Line(PushConnection):
    """A connection to one shard, or the wish for one."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.channels: set[bytes] = set()


class ClusterPushSubscription:
    """A push subscription. Each channel is heard where its slot is, and again where the slot has moved to."""

    def __init__(self, shards: ClusterTopology, channel_of: Callable[[SessionId], Awaitable[str]]) -> None:
        self._shards = shards
        self._channel_of = channel_of
        self._sessions: dict[bytes, SessionId] = {}
        self._lines: dict[str, _Line] = {}
        self._at: dict[bytes, _Line] = {}
        self._order = anyio.Lock()
        self._heard: asyncio.Queue[Push | Subscribed | Exception] = asyncio.Queue(HEARD)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = False

    async def subscribe(self, session: SessionId) -> None:
        channel = (await self._channel_of(session)).encode()
        async with self._order:
            self._sessions[channel] = session
            await self._place(channel)

    async def unsubscribe(self, session: SessionId) -> None:
        async with self._order:
            for channel in [channel for channel, known in self._sessions.items() if known == session]:
                del self._sessions[channel]
                await self._leave(channel)

    async def pushes(self) -> AsyncGenerator[Push | Subscribed, None]:
        self._listening = True
        try:
            await self._place_all()
            while True:
                word = await self._heard.get()
                if isinstance(word, Exception):
                    raise word
                yield word
        finally:
            self._listening = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._lines.clear()
            self._at.clear()

    async def check(self) -> None:
        """Lines that stay silent are given up; channels go where the commands have found their slots."""
        for line in list(self._lines.values()):
            await line.check()
        await self._place_all()

    async def aclose(self) -> None:
        for line in self._lines.values():
            await line.close()

    # ---------------------------------------------------------------- which channel on which line

    async def _place_all(self) -> None:
        async with self._order:
            for channel in list(self._sessions):
                await self._place(channel)

    async def _place(self, channel: bytes) -> None:
        address, line = self._shards.primary(slot_of(channel)), self._at.get(channel)
        if not self._listening or not address or (line is not None and line.address == address):
            return
        await self._leave(channel)
        if (line := self._lines.get(address)) is None:
            line = self._lines[address] = _Line(address)
            # Its parent is `pushes`, which cancels it: a generator must not yield inside a task group.
            task = asyncio.create_task(self._run(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        line.channels.add(channel)
        self._at[channel] = line
        await line.say(b"SSUBSCRIBE", channel)

    async def _leave(self, channel: bytes) -> None:
        if (line := self._at.pop(channel, None)) is not None:
            line.channels.discard(channel)
            await line.say(b"SUNSUBSCRIBE", channel)

    # ---------------------------------------------------------------- one line

    async def _run(self, line: _Line) -> None:
        attempt = 0
        try:
            while line.channels:
                try:
                    await self._listen(line)
                    attempt = 0
                except (*BROKEN, ResponseError, LogError) as failure:
                    attempt += 1
                    await self._recover(line, failure, attempt)
        except Exception as error:
            await self._heard.put(error)
        finally:
            if self._lines.get(line.address) is line:
                del self._lines[line.address]

    async def _listen(self, line: _Line) -> None:
        """Until the connection breaks or nothing is left to be heard on it."""
        connection = self._shards.node(line.address).server.dial()
        try:
            await line.begin(connection, line.channels)
            while line.channels:
                try:
                    message = await line.read(connection)
                except MovedError as moved:
                    await self._moved(moved.slot_id, completed(str(moved).rpartition(" ")[2], line.address))
                    continue
                await self._take(line, message)
        finally:
            line.connection = None
            await connection.disconnect(nowait=True)

    async def _take(self, line: _Line, message: object) -> None:
        if isinstance(message, list) and message[0] == b"sunsubscribe" and message[1] in line.channels:
            line.channels.discard(message[1])  # the server says so when a slot leaves it
            self._at.pop(message[1], None)
            await self._shards.look(last={line.address})
            await self._place_all()
        elif (heard := understand(self._sessions, message)) is not None:
            await self._heard.put(heard)

    async def _moved(self, slot: int, address: str) -> None:
        await self._shards.look(first=[address])
        self._shards.move({slot: address})
        await self._place_all()

    async def _recover(self, line: _Line, failure: Exception, attempt: int) -> None:
        """Listeners wait as long as it takes: what cannot be healed now is tried again."""
        try:
            await self._shards.look(last={line.address})
            await self._place_all()
        except LogError as error:
            _logger.warning("a part of the log cannot be heard: %s", error)
            await anyio.sleep(RETRY_S)
        if line.channels:
            _logger.debug("%s: %s", line.address, failure)
            await anyio.sleep(pause_s(attempt))
