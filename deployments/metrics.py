"""Numbers for Prometheus: every name that we publish, and the page that is scraped."""

import time
from collections.abc import Callable, Iterable
from typing import Final

import anyio
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from pipeline.workers.report import report
from pipeline.workers.upkeep import UpkeepLog
from schemas.workers import WorkerReport

PREFIX: Final = "rhapsode.workers"
FRESH_S: Final = 2.0
"""A report that is not older is shown again: many may scrape, the log server is asked once."""
MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

_Numbers = Callable[[WorkerReport], Iterable[Observation]]
_GAUGES: Final[dict[str, tuple[str, str, _Numbers]]] = {
    "processes": ("1", "Worker processes that have shown life lately.", lambda r: [Observation(r.workers)]),
    "lag": (
        "1",
        "Facts that an effect or a projection has not taken yet.",
        lambda r: [Observation(one.lag, {"reader": one.name}) for one in r.readers],
    ),
    "pending": (
        "1",
        "Facts that an effect works on, or will try again.",
        lambda r: [Observation(one.pending, {"reader": one.name}) for one in r.effects],
    ),
    "oldest_pending": (
        "s",
        "How long ago the oldest of those was recorded.",
        lambda r: [Observation(one.oldest_pending_s, {"reader": one.name}) for one in r.effects],
    ),
    "dead_letters": (
        "1",
        "Facts that an effect or a projection could not be done with.",
        lambda r: [Observation(one.dead_letters, {"reader": one.name}) for one in r.readers],
    ),
    "parked_sessions": (
        "1",
        "Sessions that a projection passes over.",
        lambda r: [Observation(one.parked, {"reader": one.name}) for one in r.projections],
    ),
    "pointers": ("1", "Pointers kept in the trigger streams.", lambda r: [Observation(r.pointers)]),
    "facts_today": (
        "1",
        "Facts of the types that workers see, recorded since midnight, UTC.",
        lambda r: [Observation(count, {"type": kind}) for kind, count in r.facts_today.items()],
    ),
}


class Metrics:
    """The gauges, fed from the latest report. Nothing is asked while nobody looks."""

    def __init__(self, log: UpkeepLog, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock_s = clock_s
        self._report: WorkerReport | None = None
        self._made_at = 0.0
        self._asking = anyio.Lock()
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(
            disable_target_info=True, scope_info_enabled=False, registry=self._registry
        )
        self._provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        meter = self._provider.get_meter(PREFIX)
        for name, (unit, description, numbers) in _GAUGES.items():
            meter.create_observable_gauge(
                f"{PREFIX}.{name}", [self._observer(numbers)], unit=unit, description=description
            )

    def _observer(self, numbers: _Numbers) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [] if self._report is None else numbers(self._report)

    async def report(self) -> WorkerReport:
        """At most two seconds old."""
        async with self._asking:
            if self._report is None or self._clock_s() - self._made_at >= FRESH_S:
                self._report = await report(self._log)
                self._made_at = self._clock_s()
            return self._report

    async def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        await self.report()
        return generate_latest(self._registry)

    def close(self) -> None:
        self._provider.shutdown()
