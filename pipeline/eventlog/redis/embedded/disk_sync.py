"""The embedded log's file is forced to disk by us, beside the server.

With `appendfsync everysec` the server does that itself, and while a slow disk keeps it waiting it answers
writes that are in its own memory only, for up to two seconds: `kill -9` then loses what was acknowledged.
With `no` each write is with the kernel before it is answered; a power cut asks for no more than that somebody
forces the file, and that may be another process.

On a full disk the kernel takes no write, and the server answers the commands of that moment all the same.
Room is therefore reserved ahead of the file's end, and where there is none left the server counts as full.
"""

import ctypes
import errno
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from pipeline.core.clock import coalesced_sleep
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import LogSettings

EVERY_S: Final = 1.0
RESERVED_BYTES: Final = 16 << 20
"""Room kept for what is appended within EVERY_S; larger: a disk counts as full sooner."""
_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE: blocks are reserved, the file is as long as before."""
_LOGGER: Final = logging.getLogger(__name__)


class DiskSync:
    """Forces what was appended since the last time, and keeps room for what comes. Several processes may do
    so at once."""

    def __init__(self, home: Path, settings: LogSettings) -> None:
        self._home = home
        self._settings = settings
        self._done: dict[Path, int] = {}
        self._has_room: bool | None = None

    def __call__(self) -> None:
        """Blocks for as long as the disk takes. Raises OSError."""
        sizes = {path: path.stat().st_size for path in embedded_server.appended_files(self._home)}
        if self._has_room and sizes == self._done:
            return  # and the room behind them is reserved
        has_room = all([_reserve(path, size) for path, size in sizes.items()])
        settled = has_room and self._has_room
        # Again each time, where there is no room: it may be a new server.
        if not settled and embedded_server.take_writes(self._home, self._settings, allowed=has_room):
            if not has_room and self._has_room is not False:
                _LOGGER.error("the disk of the log is full: no event is taken until there is room")
            self._has_room = has_room
        for path, size in sizes.items():
            if self._done.get(path) != size:
                _force(path)
        self._done = sizes

    async def run(self, every_s: float = EVERY_S) -> None:
        """For ever."""
        while True:
            await coalesced_sleep(every_s)
            try:
                await anyio.to_thread.run_sync(self, abandon_on_cancel=True)
            except FileNotFoundError:
                continue  # the server has just begun a new file
            except OSError:
                _LOGGER.exception("the log cannot be forced to disk")


def _reserve(path: Path, size: int) -> bool:
    """Whether the file can grow by RESERVED_BYTES. True as well where blocks cannot be reserved."""
    allocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)  # not everywhere (macOS)
    if allocate is None:
        return True
    allocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        done = allocate(descriptor, _KEEP_SIZE, size, RESERVED_BYTES) == 0
        return done or ctypes.get_errno() not in (errno.ENOSPC, errno.EDQUOT)
    finally:
        os.close(descriptor)


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
        tasks.start_soon(DiskSync(home, settings).run)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
