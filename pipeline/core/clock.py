"""Time as a parameter: a wall clock for people, a monotonic one for latency, ticks and slices."""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

TICK_S: Final = 0.25
"""From one moment at which periodic tasks of this process wake to the next."""
_PHASES: Final = 25
"""Different places of a process's ticks; processes that start after one another have different ones."""
SLICE_S: Final = 0.02
"""Processor time of long work on the event loop, from one pause for others to the next."""


class Clock(Protocol):
    def now_ms(self) -> int:
        """Wall clock, milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `monotonic` has gone on by so much."""
        ...


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def coalesced(seconds: float) -> float:
    """The moment about `seconds` from now, on the event loop's clock.

    It is a tick, up to half a TICK_S earlier or later, so that the periodic tasks of a process wake it
    together instead of one by one. Ticks of processes lie apart, because the event loops of a machine
    have one clock. Less than TICK_S is kept as it is.
    """
    moment_s = anyio.current_time() + seconds
    if seconds < TICK_S:
        return moment_s
    phase_s = os.getpid() % _PHASES / _PHASES * TICK_S
    return round((moment_s - phase_s) / TICK_S) * TICK_S + phase_s


async def coalesced_sleep(seconds: float) -> None:
    """Return at `coalesced(seconds)`."""
    await anyio.sleep_until(coalesced(seconds))


class TimeSlice:
    """Time that one task may use before the others of its loop have their turn."""

    def __init__(self) -> None:
        self._began_s = time.thread_time()

    async def pause_if_over(self) -> None:
        """Lets the others have their turn where the time is used up."""
        if time.thread_time() - self._began_s >= SLICE_S:
            await anyio.lowlevel.checkpoint()
            self._began_s = time.thread_time()


class Lately(Generic[T]):
    """Keeps the last answer for a while, so that anybody may ask as often as they like.

    Callers that arrive during a check share its answer.
    """

    def __init__(self, keep_s: float, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock_s = clock_s
        self._lock = anyio.Lock()
        self._found: tuple[T, float] | None = None
        """With the moment up to which it is kept."""

    async def get(self, look: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            if self._found is None or self._clock_s() >= self._found[1]:
                found = await look()
                self._found = found, self._clock_s() + self._keep_s
            return self._found[0]
