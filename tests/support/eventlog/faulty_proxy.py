"""A wire with faults that can be switched on."""

import asyncio
from contextlib import suppress
from pathlib import Path


class FaultyProxy:
    """Between client and server on unix sockets."""

    def __init__(self, path: Path, server: Path) -> None:
        self.path = path
        self.swallow = False
        """Let one request through, eat its reply and hang up."""
        self.swallowed = 0
        self.deaf = False
        """Ears' connections stay open and carry nothing to the client."""
        self.ears = 0
        self._server = server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        below_reader, below_writer = await asyncio.open_unix_connection(self._server)
        ear = asyncio.Event()
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._requests(reader, below_writer, ear))
                ways.create_task(self._replies(below_reader, writer, ear))
        for end in (writer, below_writer):
            end.close()

    async def _requests(
        self, reader: asyncio.StreamReader, below: asyncio.StreamWriter, ear: asyncio.Event
    ) -> None:
        while request := await reader.read(1 << 20):
            if b"SSUBSCRIBE" in request and not ear.is_set():
                ear.set()
                self.ears += 1
            below.write(request)
        below.close()

    async def _replies(
        self, below: asyncio.StreamReader, writer: asyncio.StreamWriter, ear: asyncio.Event
    ) -> None:
        while reply := await below.read(1 << 20):
            if self.swallow:
                self.swallow, self.swallowed = False, self.swallowed + 1
                break
            if not (self.deaf and ear.is_set()):
                writer.write(reply)
        writer.close()
