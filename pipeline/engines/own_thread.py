"""A thread on which an engine does its work, one call after the other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from schemas.errors import EngineDead

P = ParamSpec("P")
T = TypeVar("T")


class OwnThread:
    """First come, first served. Calls that wait while it is closed get EngineDead, never a cancellation."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` on the thread. Raises EngineDead if the thread was closed before its turn came.

        Cancelled, it leaves the queue; what has begun ends.
        """
        self._check()
        return await asyncio.wrap_future(self._pool.submit(self._in_turn, partial(work, *args, **kwargs)))

    def close(self) -> None:
        """Waits for nothing: the call that is at work ends by itself."""
        self._closed = True
        self._pool.shutdown(wait=False)

    async def aclose(self) -> None:
        """Waits for the call that is at work."""
        self.close()
        await asyncio.to_thread(self._pool.shutdown)

    def _in_turn(self, call: Callable[[], T]) -> T:
        self._check()
        return call()

    def _check(self) -> None:
        if self._closed:
            raise EngineDead("The engine was shut down.")
