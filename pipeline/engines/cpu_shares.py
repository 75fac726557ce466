"""Processor time of work that native threads do for us, so that no clock of one thread shows it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time


@dataclass(eq=False, slots=True)
class Share:
    """One piece of work's part of the process's time, so far as it has been counted."""

    cpu_ms: float = 0.0


class CpuShares:
    """Divides the process's time equally among what is being worked on at each moment.

    Right where the process does little else and every piece of work keeps one thread busy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Share] = []
        self._counted_s = 0.0

    @contextmanager
    def measured(self) -> Generator[Share, None, None]:
        """The share of what happens within the block; complete when it has ended."""
        share = Share()
        with self._lock:
            self._count()
            self._active.append(share)
        try:
            yield share
        finally:
            with self._lock:
                self._count()
                self._active.remove(share)

    def _count(self) -> None:
        now_s = process_time()
        for share in self._active:
            share.cpu_ms += (now_s - self._counted_s) * 1_000 / len(self._active)
        self._counted_s = now_s
