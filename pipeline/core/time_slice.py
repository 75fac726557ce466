"""Long work on the event loop, cut so that others are served meanwhile."""

import time
from typing import Final

import anyio.lowlevel

SLICE_S: Final = 0.02
"""Processor time between two pauses."""


class TimeSlice:
    """Time that one task may use before the others of its loop have their turn."""

    def __init__(self) -> None:
        self._began_s = time.thread_time()

    async def pause_if_over(self) -> None:
        """Lets the others have their turn where the time is used up."""
        if time.thread_time() - self._began_s >= SLICE_S:
            await anyio.lowlevel.checkpoint()
            self._began_s = time.thread_time()
