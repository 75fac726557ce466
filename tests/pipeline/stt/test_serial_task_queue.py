"""Errands of one input: what the first failure says is what the input ends with."""

import asyncio

import anyio
import pytest

from pipeline.stt.serial_task_queue import SerialTaskQueue
from schemas.errors import LogUnavailable

pytestmark = pytest.mark.anyio
_ROUNDS = 5


async def give_while_one_fails(queue: SerialTaskQueue) -> None:
    """One giver for each of the event loop's next rounds."""
    failing = anyio.Event()

    async def fail() -> None:
        failing.set()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        raise LogUnavailable("the log does not answer")

    async def give(rounds: int) -> None:
        await failing.wait()
        for _ in range(rounds):
            await asyncio.sleep(0)
        await queue.put(failing.wait)

    async with anyio.create_task_group() as tasks:
        for rounds in range(2 * _ROUNDS):
            tasks.start_soon(give, rounds)
        tasks.start_soon(queue.run)
        await queue.put(fail)


async def test_an_errand_that_is_given_while_another_fails_hides_no_failure() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await give_while_one_fails(SerialTaskQueue())
    assert [type(error) for error in raised.value.exceptions] == [LogUnavailable]
