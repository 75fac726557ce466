"""Whether others have their turn of an application's loop while many clients are told of the same thing."""

import asyncio
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import anyio.lowlevel

from tests.support.running_app import RunningApp


@asynccontextmanager
async def others_come_between(app: RunningApp, told: Sized, clients: int) -> AsyncGenerator[None, None]:
    """Within the block `told` grows by one for each of so many clients, and by two at most in one turn.

    The block ends when all are told.
    """
    turns = list[int]()

    async def others() -> None:
        while len(told) < clients:
            await anyio.lowlevel.checkpoint()
            turns.append(len(told))

    assert app.loop is not None
    beside = asyncio.run_coroutine_threadsafe(others(), app.loop)
    yield
    with anyio.fail_after(60):
        await asyncio.wrap_future(beside)
    assert max(later - earlier for earlier, later in pairwise(turns)) < 3
