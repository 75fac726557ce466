"""Counts by field: what many events add up to, in whole numbers, in whatever order they are added."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from pipeline.observability.metric_names import BY_NAME, Metric

MICRO: Final = 1_000_000
_SEPARATOR: Final = "|"
_SUM: Final = "sum"
_TOTAL: Final = "total"
_LABEL_CHARS: Final = 60
_UNSAFE: Final = re.compile(r"[^\w.:/@+-]")


class Tally:
    """Adding two tallies gives that of both parts, so nothing depends on who has counted what."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts: Counter[str] = Counter(counts or {})

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        if by > 0:
            self._counts[_prefix(metric, labels) + _TOTAL] += (
                round(by * MICRO) if metric.fractional else int(by)
            )

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Less than nothing (a clock was set back) counts as nothing."""
        value = max(0.0, value)
        prefix = _prefix(metric, labels)
        self._counts[prefix + str(bisect_left(metric.buckets, value))] += 1
        self._counts[prefix + _SUM] += round(value * MICRO)

    def add(self, other: "Tally | None") -> Self:
        if other is not None:
            self._counts.update(other._counts)
        return self

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Fields with what is in them, to be kept anywhere that can add."""
        return iter(sorted((field, number) for field, number in self._counts.items() if number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"Tally({dict(self)})"

    def series(self) -> "list[Series]":
        """By metric and labels; fields that no metric of today has are passed over."""
        found: dict[tuple[str, tuple[str, ...]], Series] = {}
        for field, number in self:
            name, *labels, part = field.split(_SEPARATOR)
            metric = BY_NAME.get(name)
            if metric is None or len(labels) != len(metric.labels):
                continue
            series = found.setdefault((name, tuple(labels)), Series.empty(metric, tuple(labels)))
            series.take(part, number)
        return list(found.values())


@dataclass(slots=True)
class Series:
    """One metric with one set of labels."""

    metric: Metric
    labels: tuple[str, ...]
    total: float
    """Of a histogram: the sum of what was observed."""
    buckets: list[int]
    """How many fell into each bucket alone, the last one being beyond every bound."""

    @classmethod
    def empty(cls, metric: Metric, labels: tuple[str, ...]) -> Self:
        return cls(metric, labels, 0.0, [0] * (len(metric.buckets) + 1) if metric.buckets else [])

    def take(self, part: str, number: int) -> None:
        if part == _TOTAL:
            self.total += number / MICRO if self.metric.fractional else number
        elif part == _SUM:
            self.total += number / MICRO
        elif part.isdigit() and int(part) < len(self.buckets):
            self.buckets[int(part)] += number

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus wants them: upper bound, and how many were no larger."""
        bounds = [*map(str, self.metric.buckets), "+Inf"]
        seen = 0
        rows: list[tuple[str, float]] = []
        for bound, number in zip(bounds, self.buckets, strict=True):
            seen += number
            rows.append((bound, float(seen)))
        return rows

    def quantile(self, share: float) -> float | None:
        return quantile(self.metric.buckets, self.buckets, share)


def quantile(bounds: Iterable[float], counts: Iterable[float], share: float) -> float | None:
    """Quantile of the observations, evenly spread within its bucket; None: there were none.

    Beyond the last bound nothing is known: that bound.
    """
    found = list(counts)
    wanted, seen, lower = sum(found) * share, 0.0, 0.0
    if not sum(found):
        return None
    for bound, number in zip(bounds, found, strict=False):
        if number and seen + number >= wanted:
            return lower + (bound - lower) * (wanted - seen) / number
        seen, lower = seen + number, bound
    return lower


def _prefix(metric: Metric, labels: tuple[str, ...]) -> str:
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")
    return _joined(metric.name, labels)


@lru_cache(1_024)
def _joined(name: str, labels: tuple[str, ...]) -> str:
    return _SEPARATOR.join((name, *map(plain, labels), ""))


def plain(label: str) -> str:
    """A label's value as it is kept and shown."""
    return _UNSAFE.sub("_", label)[:_LABEL_CHARS]
