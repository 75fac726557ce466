"""A wire with faults that can be switched on."""

import asyncio
from pathlib import Path


class FaultyProxy:
    """Between client and server on unix sockets."""

    def __init__(self, path: Path, server: Path) -> None:
        self.path = path
        self.swallow = False
        """Let one request through, eat its reply and hang up."""
        self.swallowed = 0
        self.deaf = False
        """Subscribers' connections stay open and carry nothing to the client."""
        self.subscribers = 0
        self._server = server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        below_reader, below_writer = await asyncio.open_unix_connection(self._server)
        subscribed = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._requests(reader, below_writer, subscribed))
                ways.create_task(self._replies(below_reader, writer, subscribed))
        except* ConnectionError:
            pass  # a client that gives a connection up may leave replies unread
        for end in (writer, below_writer):
            end.close()

    async def _requests(
        self, reader: asyncio.StreamReader, below: asyncio.StreamWriter, subscribed: asyncio.Event
    ) -> None:
        while request := await reader.read(1 << 20):
            if b"SSUBSCRIBE" in request and not subscribed.is_set():
                subscribed.set()
                self.subscribers += 1
            below.write(request)
        below.close()

    async def _replies(
        self, below: asyncio.StreamReader, writer: asyncio.StreamWriter, subscribed: asyncio.Event
    ) -> None:
        while reply := await below.read(1 << 20):
            if self.swallow:
                self.swallow, self.swallowed = False, self.swallowed + 1
                break
            if not (self.deaf and subscribed.is_set()):
                writer.write(reply)
        writer.close()
