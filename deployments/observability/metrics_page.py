"""The page that Prometheus scrapes: any gateway tells what all processes have measured, and how they are."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_measures import RedisMeasures, ServerState
from pipeline.background.worker_report import report
from pipeline.core.clock import Lately
from pipeline.observability import metric_names
from pipeline.observability.metric_names import BY_NAME, Metric
from pipeline.observability.process_metrics import FORGOTTEN_MS, ProcessMeter, Snapshot, present
from pipeline.observability.tally import Series, Tally, plain
from schemas.errors import LogError
from schemas.native.worker_answers import WorkerReport

FRESH_S: Final = 2.0
"""Seconds a page is kept: many may scrape, the log server is asked once."""
PATIENCE_S: Final = 3.0
"""A page without the log's numbers comes in time; one that waits for them may not."""
MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

Replicas = Callable[[], Awaitable[Mapping[tuple[str, str], int]]]
"""(deployment, state) -> how many."""
Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class _Found:
    """All that could be found out at one moment."""

    own: Snapshot
    report: WorkerReport | None = None
    tally: Tally | None = None
    others: tuple[Snapshot, ...] = ()
    server: ServerState | None = None
    replicas: Mapping[tuple[str, str], int] | None = None


class Metrics:
    """Made from the log server, the processes and Serve when somebody looks. Nothing is asked before."""

    def __init__(
        self,
        log: RedisMaintenance,
        measures: RedisMeasures,
        meter: ProcessMeter,
        replicas: Replicas | None = None,
    ) -> None:
        self._log = log
        self._measures = measures
        self._meter = meter
        self._replicas = replicas
        self._report = Lately[WorkerReport](FRESH_S)
        self._page = Lately[bytes](FRESH_S)

    async def report(self) -> WorkerReport:
        """At most two seconds old."""
        return await self._report.get(partial(report, self._log))

    async def page(self) -> bytes:
        """All that Prometheus reads, 2 s old at most (replicas: 17 s). Without the log: what is here."""
        return await self._page.get(self._written)

    async def _written(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Page(await self._look()))
        return generate_latest(registry)

    async def _look(self) -> _Found:
        own = await self._meter.snapshot()
        replicas: Mapping[tuple[str, str], int] | None = None
        if self._replicas is not None:
            with anyio.move_on_after(PATIENCE_S):
                replicas = await self._replicas()
        with suppress(LogError), anyio.move_on_after(PATIENCE_S):
            return _Found(
                own=own,
                report=await self.report(),
                tally=await self._measures.tally(),
                others=await self._others(own),
                server=await self._measures.server(),
                replicas=replicas,
            )
        return _Found(own, replicas=replicas)

    async def _others(self, own: Snapshot) -> tuple[Snapshot, ...]:
        snapshots = await self._measures.snapshots()
        now_ms = await self._measures.now_ms()
        await self._measures.forget(
            *(one.process for one in snapshots if now_ms - one.seen_ms > FORGOTTEN_MS)
        )
        return tuple(one for one in present(snapshots, now_ms) if one.process != own.process)


class _Page(Collector):
    """One moment as families of samples, in the order in which `names` lists them."""

    def __init__(self, found: _Found) -> None:
        self._found = found

    def collect(self) -> Iterator[Family]:
        found, gauges = self._found, dict(self._gauges())
        counted: dict[str, dict[tuple[str, ...], Series]] = {}
        for metric, labels in self._initial_labels():
            counted.setdefault(metric.name, {})[labels] = Series.empty(metric, labels)
        for tally in (found.tally, *(Tally(one.counts) for one in self._processes)):
            for series in tally.series() if tally is not None else ():
                counted.setdefault(series.metric.name, {})[series.labels] = series
        for metric in metric_names.ALL:
            if metric.name in counted:
                yield _family(metric, counted[metric.name].values())
            elif metric in gauges:
                yield _simple(metric, gauges[metric])

    def _initial_labels(self) -> Iterator[tuple[Metric, tuple[str, ...]]]:
        """Series of what has not happened yet: they are 0, so that the first time is a rise."""
        for metric in metric_names.ALL:
            if metric.source == "log" and self._found.tally is not None:
                yield from ((metric, labels) for labels in metric_names.initial_labels(metric))
            elif metric.source == "process":
                yield from (
                    (metric, labels)
                    for one in self._processes
                    for labels in metric_names.initial_labels(metric, plain(one.process))
                )

    @property
    def _processes(self) -> tuple[Snapshot, ...]:
        return (self._found.own, *self._found.others)

    def _gauges(self) -> Iterator[tuple[Metric, list[Sample]]]:
        found = self._found
        yield metric_names.LOG_UP, [((), float(found.server is not None))]
        if (server := found.server) is not None:
            yield metric_names.LOG_ANSWER, [((), server.answer_s)]
            yield metric_names.LOG_MEMORY, [((), server.memory_bytes)]
            yield metric_names.LOG_LIMIT, [((), server.limit_bytes)]
            yield metric_names.LOG_EVICTS, [((), float(server.evicts_events))]
            yield metric_names.LOG_FORGETS, [((), float(server.forgets))]
            yield metric_names.LOG_COMMANDS, [((), server.commands)]
            yield metric_names.LIVE, [((), server.live)]
        if found.replicas is not None:
            yield metric_names.REPLICAS, [(who, float(count)) for who, count in found.replicas.items()]
        if found.report is not None:
            yield from _of_workers(found.report)
        yield (
            metric_names.BUILD_INFO,
            [((one.process, one.version), 1.0) for one in self._processes if one.version],
        )
        by_process: dict[Metric, list[Sample]] = {}
        for one in self._processes:
            for name, value in one.gauges.items():
                if (metric := BY_NAME.get(name)) is not None:
                    by_process.setdefault(metric, []).append(((one.process,), value))
        yield from by_process.items()


def _of_workers(found: WorkerReport) -> Iterator[tuple[Metric, list[Sample]]]:
    yield metric_names.PROCESSES, [((), found.workers)]
    yield metric_names.LAG, [((one.name,), one.lag) for one in found.readers]
    yield metric_names.PENDING, [((one.name,), one.pending) for one in found.effects]
    yield metric_names.OLDEST, [((one.name,), one.oldest_pending_s) for one in found.effects]
    yield metric_names.DEAD_LETTERS, [((one.name,), one.dead_letters) for one in found.readers]
    yield metric_names.PARKED, [((one.name,), one.parked) for one in found.projections]
    yield metric_names.POINTERS, [((), found.pointers)]
    yield metric_names.EVENTS_TODAY, [((kind,), count) for kind, count in found.facts_today.items()]


def _family(metric: Metric, found: Iterable[Series]) -> Family:
    if metric.kind == "counter":
        return _simple(metric, [(series.labels, series.total) for series in found])
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for series in found:
        family.add_metric(series.labels, series.cumulative(), series.total)
    return family


def _simple(metric: Metric, samples: Iterable[Sample]) -> Family:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: Family = make(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)  # type: ignore[attr-defined]
    return family
