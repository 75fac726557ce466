"""A scripted server, an address at which one may come in another's place, and who calls there."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio.lowlevel
from hiredis import Reader
from redis.asyncio.connection import ConnectionPool, UnixDomainSocketConnection

from pipeline.eventlog.redis.client import RedisClient
from pipeline.eventlog.redis.server import OPTIONS, Command, run_id

Reply = Callable[[list[bytes]], bytes]
ONE_SHARD = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$4\r\nhere\r\n:1\r\n$2\r\nid\r\n"
"""CLUSTER SLOTS of a cluster whose only server is here:1."""


class ScriptedRedis:
    """Answers INFO with its run id, all else with `reply`. Asleep it hangs: no connection breaks."""

    def __init__(self, path: Path, reply: Reply = lambda _: b"+OK\r\n") -> None:
        self.path = path
        self.reply = reply
        self.heard: list[list[bytes]] = []
        """All that was asked but INFO, answered or not."""
        self.tells = True
        self.awake = asyncio.Event()
        self.awake.set()
        self._guests: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def run(self) -> bytes:
        return self.path.name.encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._guests[task] = writer
        with suppress(ConnectionError):  # who gives up does not wait for the reply
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = Reader()
        while data := await reader.read(1 << 16):
            requests.feed(data)
            while (command := requests.gets()) is not False:
                if command[0] != b"INFO":
                    self.heard.append(command)
                await self.awake.wait()
                writer.write(self._info() if command[0] == b"INFO" else self.reply(command))

    async def aclose(self) -> None:
        self.awake.set()
        for writer in self._guests.values():
            writer.close()
        await asyncio.gather(*self._guests)

    def _info(self) -> bytes:
        if not self.tells:
            return b"-NOPERM this user has no permissions to run the 'info' command\r\n"
        said = b"# Server\r\nrun_id:" + self.run + b"\r\n"
        return b"$%d\r\n%s\r\n" % (len(said), said)


@asynccontextmanager
async def redis_server(
    path: Path, reply: Reply = lambda _: b"+OK\r\n"
) -> AsyncGenerator[ScriptedRedis, None]:
    opened = ScriptedRedis(path, reply)
    server = await asyncio.start_unix_server(opened.serve, path)
    yield opened
    server.close()
    await opened.aclose()


class Address(ConnectionPool):
    """Leads to whichever house is there when a connection is made."""

    def __init__(self, redis_server: ScriptedRedis) -> None:
        super().__init__()
        self.redis_server = redis_server

    def make_connection(self) -> UnixDomainSocketConnection:
        return UnixDomainSocketConnection(path=str(self.redis_server.path), **OPTIONS)


class Caller:
    """Looks at the server as the log does: again after every break."""

    def __init__(self, wire: RedisClient) -> None:
        self._wire = wire
        self._known_at = -1
        self.run = b""
        self.looks: list[bytes] = []

    async def look(self) -> bytes:
        if self._known_at != self._wire.breaks:
            breaks = self._wire.breaks
            [about] = await self._wire.each(("INFO", "server"))
            self.run = run_id(about) or self.run
            self._known_at = breaks
            self.looks.append(self.run)
        return self.run

    async def say(self, *words: str) -> None:
        """To whichever server is there."""
        await self._wire.call(words, look=self.look)

    async def say_here(self) -> None:
        """To the server that is known now, whose name is what is said. Raises FailedOver."""
        run = await self.look()
        await anyio.lowlevel.checkpoint()  # others may look in between
        command: Command = ("HERE", run)
        await self._wire.call(command, look=self.look, outdated=lambda: self.run != run)
