"""An engine's thread: one call after the other, and what becomes of those who wait when it is closed."""

import asyncio
import threading

import pytest

from pipeline.engines.own_thread import OwnThread
from schemas.errors import EngineDead

pytestmark = pytest.mark.anyio


class Work:
    """Calls that end when they are told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.done: list[str] = []

    def do(self, name: str) -> str:
        self.begun.set()
        assert self.may_end.wait(30)
        self.done.append(name)
        return name


async def started(thread: OwnThread, work: Work, *names: str) -> list[asyncio.Task[str]]:
    """The first is at work, the others wait."""
    tasks = [asyncio.create_task(thread.do(work.do, name)) for name in names]
    await asyncio.to_thread(work.begun.wait, 30)
    return tasks


async def test_a_running_call_ends_and_waiting_ones_hear_that_the_engine_is_dead() -> None:
    thread, work = OwnThread("test"), Work()
    first, second, third = await started(thread, work, "first", "second", "third")
    thread.close()
    work.may_end.set()
    assert await first == "first"
    for waiting in (second, third):
        with pytest.raises(EngineDead):
            await waiting
    with pytest.raises(EngineDead):
        await thread.do(work.do, "later")
    assert work.done == ["first"]


async def test_closing_may_wait_for_what_is_at_work() -> None:
    thread, work = OwnThread("test"), Work()
    (first,) = await started(thread, work, "first")
    closing = asyncio.create_task(thread.aclose())
    work.may_end.set()
    await closing
    assert work.done == ["first"]
    assert await first == "first"


async def test_a_caller_that_is_cancelled_leaves_the_queue() -> None:
    thread, work = OwnThread("test"), Work()
    first, second, third = await started(thread, work, "first", "second", "third")
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    work.may_end.set()
    assert [await first, await third] == ["first", "third"]
    await thread.aclose()
    assert work.done == ["first", "third"]


async def test_an_error_of_a_call_reaches_its_caller() -> None:
    thread = OwnThread("test")
    with pytest.raises(ZeroDivisionError):
        await thread.do(divmod, 1, 0)
    assert await thread.do(divmod, 7, 2) == (3, 1)
    await thread.aclose()
