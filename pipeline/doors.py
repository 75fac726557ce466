"""How long those who come wait before they can ask anything: at each door that they pass."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from pipeline.clock import Clock

_PASSED: Final = 8
LATELY_S: Final = 4.0
"""So many are judged by at each door, if they are no longer ago than this."""
_MOST: Final = 0.75
"""Of them so many waited no longer than what is told."""


class Doors:
    """Pure, with a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passed: dict[str, deque[tuple[float, float]]] = {}
        """When, and how long it had taken."""

    @contextmanager
    def passing(self, door: str) -> Iterator[None]:
        """Somebody does, within the block; who does not get through it says nothing."""
        since_s = self._clock.monotonic()
        yield
        now = self._clock.monotonic()
        self._passed.setdefault(door, deque(maxlen=_PASSED)).append((now, now - since_s))

    @property
    def wait_s(self) -> float:
        """At all of them, one after the other."""
        since_s = self._clock.monotonic() - LATELY_S
        lately = [sorted(took_s for at_s, took_s in door if at_s > since_s) for door in self._passed.values()]
        return sum(took_s[ceil(_MOST * len(took_s)) - 1] for took_s in lately if took_s)
