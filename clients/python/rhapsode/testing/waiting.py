"""Waiting for what an engine does, and questions to two streams of it."""

import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio

from pipeline.engines.ports import Stream

_DEADLINE_S = 30.0


async def take_turns(first: Stream[Any], second: Stream[Any]) -> bool:
    """Does something of either come before the other is over? Hears no more of them once it does."""
    order: list[int] = []

    async def listen(number: int, items: Stream[Any]) -> None:
        async with aclosing(items) as stream:
            async for _ in stream:
                order.append(number)
                if _mixed(order):
                    listeners.cancel_scope.cancel()

    async with anyio.create_task_group() as listeners:
        listeners.start_soon(listen, 1, first)
        listeners.start_soon(listen, 2, second)
    return _mixed(order)


def _mixed(order: list[int]) -> bool:
    return order not in (sorted(order), sorted(order, reverse=True))


async def eventually(condition: Callable[[], bool], every_s: float = 0.005) -> None:
    """Return once `condition` holds; fail the test if it never does.

    `every_s` 0 looks at each round of the event loop, for a condition that may hold for a moment only.
    """
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "It never came true."
        await anyio.sleep(every_s)
