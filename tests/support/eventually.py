"""Waiting for what another thread does, with a deadline instead of a guess."""

import time
from collections.abc import Callable

import anyio

_DEADLINE_S = 30.0


async def eventually(condition: Callable[[], bool], every_s: float = 0.005) -> None:
    """Return once `condition` holds; fail the test if it never does.

    `every_s` 0 looks at each round of the event loop, for a condition that may hold for a moment only.
    """
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "It never came true."
        await anyio.sleep(every_s)
