"""Batches without a clock: all requests that wait when the device gets free go together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from schemas.errors import EngineDead

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]


class Gathered(Generic[Item, Result]):
    """Gives a device its work: first come, first served, and what can go together does.

    No call waits for a batch to fill up: the first one runs at once and alone, and calls that come
    meanwhile are the next batch. The queue is as long as there are callers who wait: they bound it.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        alike: Callable[[Item], object],
        *,
        executor: Executor,
        most: int,
        at_once: int = 1,
    ) -> None:
        """`work` runs in `executor`, `at_once` times side by side; its results are in the order of its items.

        `most`: items of one batch. `alike`: what items that go together have in common.
        """
        self._work = work
        self._alike = alike
        self._executor = executor
        self._most = most
        self._free = at_once
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._closed = False
        self.sizes: deque[int] = deque(maxlen=1_000)
        """How many items each of the last batches had, the newest last."""

    async def do(self, item: Item) -> Result:
        """The result for this one, or its error. Cancelled, it leaves the queue; what has begun ends."""
        if self._closed:
            raise EngineDead("The engine was shut down.")
        waiting: _Waiting[Item, Result] = _Waiting(item, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._begin()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            raise

    def close(self) -> None:
        """Ends the queue: requests that wait get EngineDead."""
        self._closed = True
        while self._queue:
            _answer(self._queue.popleft(), EngineDead("The engine was shut down."))

    def _begin(self) -> None:
        while self._free and self._queue:
            kind = self._alike(self._queue[0].item)
            batch = [one for one in self._queue if self._alike(one.item) == kind][: self._most]
            for one in batch:
                self._queue.remove(one)
            self._free -= 1
            self.sizes.append(len(batch))
            done = asyncio.get_running_loop().run_in_executor(
                self._executor, self._work, [one.item for one in batch]
            )
            done.add_done_callback(partial(self._finished, batch))

    def _finished(
        self,
        batch: Sequence[_Waiting[Item, Result]],
        done: asyncio.Future[Sequence[Result | Exception]],
    ) -> None:
        self._free += 1
        error = done.exception()
        results = done.result() if error is None else [error] * len(batch)
        for one, result in zip(batch, results, strict=True):
            _answer(one, result)
        if not self._closed:
            self._begin()


def _answer(waiting: _Waiting[Item, Result], result: Result | BaseException) -> None:
    if waiting.answer.done():
        return  # no caller waits for it any more
    if isinstance(result, BaseException):
        waiting.answer.set_exception(result)
    else:
        waiting.answer.set_result(result)
