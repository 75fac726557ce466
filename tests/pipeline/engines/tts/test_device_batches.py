"""Calls that wait when the device gets free run together, in turn, each with an answer of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.engines.tts.device_batches import Gathered
from schemas.errors import EngineDead
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


class Device:
    """Doubles numbers and repeats words, while it is let; 13 it cannot."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.may = threading.Semaphore(0)

    def work(self, asked: Sequence[int | str]) -> Sequence[int | str | Exception]:
        assert self.may.acquire(timeout=60)
        self.batches.append(list(asked))
        return [ValueError("13") if one == 13 else one * 2 for one in asked]


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
async def gathered(device: Device) -> AsyncGenerator[Gathered[int | str, int | str], None]:
    with ThreadPoolExecutor(1) as executor:
        gathered = Gathered[int | str, int | str](device.work, type, executor=executor, most=3)
        yield gathered
        device.may.release(100)


async def asked(gathered: Gathered[int | str, int | str], *items: int | str) -> list[asyncio.Task[int | str]]:
    """All of them asked for, in this order, and none waited for."""
    tasks = [asyncio.ensure_future(gathered.do(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_requests_during_the_work_of_a_device_are_its_next_batch(
    gathered: Gathered[int | str, int | str], device: Device
) -> None:
    tasks = await asked(gathered, 1, 2, "a", 3, 4, 5, "b")
    device.may.release(10)
    assert await asyncio.gather(*tasks) == [2, 4, "aa", 6, 8, 10, "bb"]
    assert device.batches == [[1], [2, 3, 4], ["a", "b"], [5]]
    assert list(gathered.sizes) == [1, 3, 2, 1]


async def test_one_that_fails_fails_alone(gathered: Gathered[int | str, int | str], device: Device) -> None:
    device.may.release(10)
    answers = await asyncio.gather(*await asked(gathered, 1, 2, 13, 4), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, int, ValueError, int]


async def test_a_caller_that_gives_up_leaves_the_queue_and_holds_nobody_up(
    gathered: Gathered[int | str, int | str], device: Device
) -> None:
    at_work, waiting, other = await asked(gathered, 1, 2, 3)
    at_work.cancel()
    waiting.cancel()
    await asyncio.sleep(0)
    device.may.release(10)
    assert await other == 6
    assert device.batches == [[1], [3]]


async def test_closing_sends_those_away_who_wait_and_lets_the_one_at_work_end(
    gathered: Gathered[int | str, int | str], device: Device
) -> None:
    at_work, waiting = await asked(gathered, 1, 2)
    gathered.close()
    with pytest.raises(EngineDead):
        await waiting
    with pytest.raises(EngineDead):
        await gathered.do(3)
    device.may.release()
    assert await at_work == 2


async def test_two_threads_are_given_work_side_by_side(device: Device) -> None:
    with ThreadPoolExecutor(2) as executor:
        gathered = Gathered[int | str, int | str](device.work, type, executor=executor, most=1, at_once=2)
        tasks = await asked(gathered, 1, 2, 3)
        await eventually(lambda: list(gathered.sizes) == [1, 1])
        device.may.release(10)
        assert sorted(await asyncio.gather(*tasks)) == [2, 4, 6]  # type: ignore[type-var]
