"""A full engine lets some wait, in order, and sends the others away."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pipeline.engines.slots import Slots
from schemas.errors import EngineBusy

pytestmark = pytest.mark.anyio


async def test_the_first_come_are_the_first_served() -> None:
    slots, served = Slots(1), list[int]()

    async def work(number: int) -> None:
        async with slots.take():
            served.append(number)
            await checkpoint()

    async with anyio.create_task_group() as workers:
        for number in range(5):
            workers.start_soon(work, number)
    assert served == [0, 1, 2, 3, 4]
    assert slots.taken == 0


async def test_a_full_queue_is_busy_and_says_that_trying_again_helps() -> None:
    slots = Slots(2)
    async with anyio.create_task_group() as waiting:
        for _ in range(2):
            await slots.acquire()
        for _ in range(8):
            waiting.start_soon(slots.acquire)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(EngineBusy) as refused:
            await slots.acquire()
        assert refused.value.retryable
        waiting.cancel_scope.cancel()
    assert slots.taken == 2


async def test_a_caller_that_gives_up_waiting_leaves_the_queue() -> None:
    slots = Slots(1)
    async with slots.take():
        with anyio.move_on_after(0.01):
            await slots.acquire()
        assert slots.taken == 1
    async with slots.take():
        assert slots.taken == 1
