"""Waiting for what another thread does, with a deadline instead of a guess."""

import time
from collections.abc import Callable

import anyio

_DEADLINE_S = 30.0


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; fail the test if it never does."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "It never came true."
        await anyio.sleep(0.005)
