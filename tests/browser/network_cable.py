"""A network cable between browser and application that a test can pull out and put back in."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_READ = 65_536


class Cable:
    """Passes bytes on between its own port and the application's, in a thread of its own."""

    def __init__(self, target: str) -> None:
        self.lead_to(target)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._plugged = True
        self.url = ""

    def lead_to(self, target: str) -> None:
        """Connections from now on reach this application."""
        self._host, self._port = urlsplit(target).hostname or "", urlsplit(target).port or 0

    def pull(self) -> None:
        """Cut every connection and refuse new ones."""
        self._loop.call_soon_threadsafe(self._set, False)

    def plug(self) -> None:
        self._loop.call_soon_threadsafe(self._set, True)

    def _set(self, plugged: bool) -> None:
        self._plugged = plugged
        if not plugged:
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._plugged:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
        finally:
            self._writers -= ends

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await stop.wait()
        server.close()
        self._set(False)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_READ):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


@contextmanager
def cable_to(target: str) -> Iterator[Cable]:
    """A cable to the application at `target`, until the block ends."""
    cable = Cable(target)
    started, stop = threading.Event(), asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: cable.loop) as runner:
            runner.run(cable.serve(started, stop))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield cable
    finally:
        cable.loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()
