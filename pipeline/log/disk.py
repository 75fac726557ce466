"""The embedded log's file is forced to disk by us, beside the server.

With `appendfsync everysec` the server does that itself, and while a slow disk keeps it waiting it answers
writes that are in its own memory only, for up to two seconds: `kill -9` then loses what was acknowledged.
With `no` each write is with the kernel before it is answered; a power cut asks for no more than that somebody
forces the file, and that may be another process.
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from pipeline.log import embedded
from schemas.settings import LogSettings

EVERY_S: Final = 1.0
_LOGGER: Final = logging.getLogger(__name__)


class DiskSync:
    """Forces what was appended since the last time. Several processes may do so at once."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._done: dict[Path, int] = {}

    def __call__(self) -> None:
        """Blocks for as long as the disk takes. Raises OSError."""
        sizes = {path: path.stat().st_size for path in embedded.appended_files(self._home)}
        for path, size in sizes.items():
            if self._done.get(path) != size:
                _force(path)
        self._done = sizes

    async def run(self, every_s: float = EVERY_S) -> None:
        """For ever."""
        while True:
            await anyio.sleep(every_s)
            try:
                await anyio.to_thread.run_sync(self, abandon_on_cancel=True)
            except FileNotFoundError:
                continue  # the server has just begun a new file
            except OSError:
                _LOGGER.exception("the log cannot be forced to disk")


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def forced_to_disk(settings: LogSettings, home: Path) -> AsyncGenerator[None, None]:
    """Within the block, the embedded log of `home` is. Another server looks after itself."""
    if not settings.embedded or settings.durability == "always":
        yield
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DiskSync(home).run)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
