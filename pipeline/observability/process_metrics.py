"""Metrics of one process: measured as they happen, reported now and then, gone with the process."""

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import anyio
import anyio.to_thread
import orjson
import psutil
from anyio.abc import TaskGroup

from pipeline.core.clock import coalesced_sleep
from pipeline.observability import metric_names
from pipeline.observability.metric_names import Metric
from pipeline.observability.tally import Tally
from schemas.errors import LogError
from schemas.events.upcasting import UnknownEvents
from schemas.version import BUILD

TELL_S: Final = 5.0
FRESH_MS: Final = 20_000
"""Seconds without a report after which a process counts as gone."""
FORGOTTEN_MS: Final = 3_600_000
_FAREWELL_S: Final = 0.5
_LOOK_S: Final = 1.0
"""Between looks at how late the event loop is."""
Gauges = Callable[[], Mapping[Metric, float]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A process's own numbers at a moment."""

    process: str
    role: str
    seen_ms: int
    gauges: Mapping[str, float]
    counts: Mapping[str, int]
    """As a Tally keeps them."""
    version: str = ""
    """Of the program; empty: one that did not tell yet."""

    def packed(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        found = orjson.loads(packed)
        return cls(**{name: found[name] for name in cls.__slots__ if name in found})


class SnapshotStore(Protocol):
    """Port to which processes report their metrics."""

    async def publish(self, snapshot: Snapshot) -> None: ...
    async def snapshots(self) -> list[Snapshot]: ...
    async def forget(self, *processes: str) -> None: ...


class ProcessMeter:
    """Fed by whatever runs in the process. Its name leads every series that it gives."""

    def __init__(self, process: str, role: str, *, home: Path | None = None) -> None:
        self.process = process
        self._role = role
        self._home = home
        self._tally = Tally()
        self._gauges: list[Gauges] = []
        self._self = psutil.Process()

    def watch(self, gauges: Gauges) -> None:
        """Asked whenever somebody looks: must be quick."""
        self._gauges.append(gauges)

    def appended(self, seconds: float) -> None:
        self._tally.observe(metric_names.APPEND, seconds, self.process)

    def delivered(self, ts_ms: int) -> None:
        """An event of that time has arrived."""
        self._tally.observe(
            metric_names.DELIVERY, (time.time_ns() // 1_000_000 - ts_ms) / 1_000, self.process
        )

    def observe_loop_lag(self, late_s: float) -> None:
        self._tally.observe(metric_names.LOOP_LAG, late_s, self.process)

    async def snapshot(self) -> Snapshot:
        found: dict[Metric, float] = {
            metric_names.MEMORY: self._self.memory_info().rss,
            metric_names.TASKS: len(asyncio.all_tasks()),
            metric_names.UNKNOWN_EVENTS: UnknownEvents.read,
        }
        if self._home is not None:
            with suppress(OSError):  # nothing was written there yet, or it is away: no reason to end
                usage = await anyio.to_thread.run_sync(shutil.disk_usage, self._home)
                found |= {metric_names.DISK_FREE: usage.free, metric_names.DISK_SIZE: usage.total}
        for gauges in self._gauges:
            found |= gauges()
        return Snapshot(
            process=self.process,
            role=self._role,
            seen_ms=time.time_ns() // 1_000_000,
            gauges={metric.name: float(value) for metric, value in found.items()},
            counts=dict(self._tally),
            version=BUILD,
        )

    async def watch_loop(self) -> None:
        """Until cancelled: how late are we woken?"""
        while True:
            begun = time.monotonic()
            await anyio.sleep(_LOOK_S)
            self.observe_loop_lag(max(0.0, time.monotonic() - begun - _LOOK_S))


class MetricsReporter:
    """An async context manager: within it the process tells its numbers, and at its end takes them back."""

    def __init__(self, meter: ProcessMeter, store: SnapshotStore) -> None:
        self._meter = meter
        self._store = store
        self._tasks: TaskGroup

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._meter.watch_loop)
        self._tasks.start_soon(self._publish)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        with anyio.move_on_after(_FAREWELL_S, shield=True), suppress(LogError):
            await self._store.forget(self._meter.process)

    async def _publish(self) -> None:
        while True:
            with suppress(LogError):  # the page itself says that the log is away
                await self._store.publish(await self._meter.snapshot())
            await coalesced_sleep(TELL_S)


def present(snapshots: Sequence[Snapshot], now_ms: int) -> list[Snapshot]:
    return [one for one in snapshots if now_ms - one.seen_ms < FRESH_MS]
