"""Tells when an engine has stopped: it has work, and for too long nothing comes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import ParamSpec, TypeVar

from pipeline.engines.slots import Slots
from schemas.errors import EngineDead

P = ParamSpec("P")
T = TypeVar("T")


class Watchdog:
    """Knows the work that an engine has at hand. All methods may be called from any thread.

    Time in a queue does not count: work begins when a thread, or the engine itself, has taken it.
    """

    def __init__(self, limit_s: float, *, now: Callable[[], float] = monotonic) -> None:
        """`limit_s`: seconds that a piece of work may take between two signs of life."""
        self._limit_s = limit_s
        self._now = now
        self._since: dict[object, float] = {}
        self._moved_at = float("-inf")

    @contextmanager
    def working(self) -> Iterator[None]:
        """A piece of work lasts as long as the block."""
        work = object()
        self._since[work] = self._now()
        try:
            yield
        finally:
            del self._since[work]

    def watched(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` as a piece of work and returns its result."""
        with self.working():
            return work(*args, **kwargs)

    def moved(self) -> None:
        """A sign of life of all work, where an engine does its work in one loop."""
        self._moved_at = self._now()

    @property
    def still_s(self) -> float:
        """Seconds since the last sign of life of the work that gave none for longest; 0 without any work."""
        since = tuple(self._since.values())
        return max(0.0, self._now() - max(min(since), self._moved_at)) if since else 0.0

    def check(self) -> None:
        """Raises EngineDead where that is more than the limit: only a new process helps."""
        if (still_s := self.still_s) > self._limit_s:
            raise EngineDead(
                f"the engine has work and has not moved for {still_s:.0f} s; it is being replaced"
            )


class WatchedEngine:
    """An engine in this process: its requests have places, and a watchdog knows its work."""

    def __init__(self, slots: Slots, stall_s: float) -> None:
        """`stall_s`: seconds that a piece of work may take between two signs of life."""
        self._slots = slots
        self._watchdog = Watchdog(stall_s)

    @property
    def open_streams(self) -> int:
        """Requests at work or waiting."""
        return self._slots.taken

    def check(self) -> None:
        """Raises EngineDead where a piece of work has given no sign of life for too long."""
        self._watchdog.check()
