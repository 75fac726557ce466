"""The usage meter in memory: the model of the one on the log's server."""

import time
from collections.abc import Callable, Sequence

from pipeline.admission.allowance import Cost, Shortage


class MemoryMeter:
    """A UsageMeter in memory, for one process and as the model of the other. Forgets nobody."""

    def __init__(self, now_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000) -> None:
        self._now_us = now_us
        self._due: dict[tuple[str, str], int] = {}

    async def take(self, who: str, costs: Sequence[Cost]) -> Shortage | None:
        now = self._now_us()
        due = {cost.bucket: self._after(who, cost.bucket, now) + cost.us for cost in costs}
        waits = [(due[cost.bucket] - now - cost.burst_us, cost) for cost in costs]
        wait, short = max(waits, key=lambda found: found[0])
        if wait > 0:
            return Shortage(short, wait / 1_000_000)
        self._due |= {(who, bucket): us for bucket, us in due.items()}
        return None

    async def owe(self, who: str, cost: Cost) -> None:
        self._due[who, cost.bucket] = self._after(who, cost.bucket, self._now_us()) + cost.debt_us

    def _after(self, who: str, bucket: str, now: int) -> int:
        return max(now, self._due.get((who, bucket), 0))
