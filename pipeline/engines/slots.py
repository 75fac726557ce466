"""How many requests an engine works on together, and how many may wait."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from schemas.errors import EngineBusy

_WAITING_PER_SLOT: Final = 4
"""A longer queue would only hide that the engine is too small: Serve should start another replica."""


class Slots:
    """First come, first served. When the queue is full too, the request is refused: EngineBusy."""

    def __init__(self, size: int, *, waiting: int | None = None) -> None:
        """`waiting`: so many requests may wait; None: four for each slot."""
        self._free = asyncio.Semaphore(size)
        self._most = size + (size * _WAITING_PER_SLOT if waiting is None else waiting)
        self.taken = 0
        """Requests at work and waiting."""

    async def acquire(self) -> None:
        """Wait for a slot."""
        if self.taken >= self._most:
            raise EngineBusy(f"All {self._most} places are taken; try again in a moment.")
        self.taken += 1
        try:
            await self._free.acquire()
        except BaseException:
            self.taken -= 1
            raise

    def release(self) -> None:
        self.taken -= 1
        self._free.release()

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None, None]:
        """Hold a slot for as long as the block lasts."""
        await self.acquire()
        try:
            yield
        finally:
            self.release()
