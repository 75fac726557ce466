"""What can be asked of two streams of any engine."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio


async def take_turns(first: AsyncGenerator[Any, None], second: AsyncGenerator[Any, None]) -> bool:
    """Does something of either come before the other is over? Hears no more of them once it does."""
    order: list[int] = []

    async def listen(number: int, items: AsyncGenerator[Any, None]) -> None:
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
