"""Counts events by type and day: the smallest effect, and the numbers behind a metric."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pipeline.background.worker_ports import Change, Pointer
from schemas.events import TRIGGERS
from schemas.events.recorded import Recorded

KEEP_S: Final = 35 * 86_400


def day_of(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).date().isoformat()


def key_of(day: str) -> str:
    """A hash of the partition: type -> count."""
    return f"stats:{day}"


class Stats:
    """Counts each event once, because the count is written together with the acknowledgement."""

    name = "stats"
    types = TRIGGERS

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change]:
        key = key_of(day_of(event.ts_ms))
        return [Change("HINCRBY", key, (event.type, 1)), Change("EXPIRE", key, (KEEP_S,))]


def summed(partitions: Sequence[Sequence[bytes]]) -> dict[str, int]:
    """The day's counts of all partitions, from their hashes as the server gives them."""
    total: Counter[str] = Counter()
    for flat in partitions:
        total.update({name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)})
    return dict(total)
