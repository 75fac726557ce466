"""Readings of a metrics page, and the differences between two pages. Plain synchronous code."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from pipeline.observability.metric_names import BY_NAME, Metric
from pipeline.observability.tally import quantile

SPAN_S: Final = 60.0
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """How often something was observed, and how it was spread."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None


class Page:
    """One scrape: samples by their names and labels."""

    def __init__(self, text: str = "") -> None:
        self._samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                self._samples.setdefault(sample.name, {})[labels] = sample.value

    def since(self, before: "Page") -> "Page":
        """Returns the increase; a restarted process counts from 0."""
        grown = Page()
        for name, series in self._samples.items():
            old = before._samples.get(name, {})
            grown._samples[name] = {
                labels: value - then if value >= (then := old.get(labels, 0.0)) else value
                for labels, value in series.items()
            }
        return grown

    def value(self, metric: Metric, **labels: str) -> float | None:
        """The sum of all series with these labels; None: there are none."""
        found = [value for _, value in self._matching(metric.name, labels)]
        return sum(found) if found else None

    def by(self, metric: Metric, *names: str) -> dict[tuple[str, ...], float]:
        """Sums by these labels."""
        found: dict[tuple[str, ...], float] = {}
        for labels, value in self._matching(metric.name, {}):
            key = tuple(labels.get(name, "") for name in names)
            found[key] = found.get(key, 0.0) + value
        return found

    def by_name(self, name: str) -> dict[Labels, float]:
        """Every sample of this name."""
        return dict(self._samples.get(name, {}))

    def spread(self, metric: Metric, **labels: str) -> Spread:
        """Of all series with these labels together."""
        upto: dict[str, float] = {}
        for found, value in self._matching(f"{metric.name}_bucket", labels):
            upto[found["le"]] = upto.get(found["le"], 0.0) + value
        bounds = sorted(upto, key=float)
        sums = [upto[bound] for bound in bounds]
        counts = [now - before for now, before in zip(sums, [0.0, *sums], strict=False)]
        limits = BY_NAME[metric.name].buckets
        return Spread(
            count=round(sums[-1]) if sums else 0,
            p50=quantile(limits, counts, 0.5),
            p95=quantile(limits, counts, 0.95),
        )

    def _matching(self, name: str, wanted: Mapping[str, str]) -> Iterator[tuple[dict[str, str], float]]:
        for labels, value in self._samples.get(name, {}).items():
            found = dict(labels)
            if all(found.get(label) == word for label, word in wanted.items()):
                yield found, value


class Readings:
    """The pages of the last minute; `latest` and what was added since the oldest of them."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._span_s = span_s
        self._pages: deque[tuple[float, Page]] = deque()

    def add(self, now_s: float, page: Page) -> None:
        self._pages.append((now_s, page))
        while len(self._pages) > 2 and now_s - self._pages[1][0] >= self._span_s:
            self._pages.popleft()

    @property
    def latest(self) -> Page:
        return self._pages[-1][1]

    @property
    def seconds(self) -> float:
        """Between the oldest and the latest; 0: there is only one."""
        return self._pages[-1][0] - self._pages[0][0]

    @property
    def added(self) -> Page:
        """In those seconds; with a single page: since ever."""
        return self.latest if len(self._pages) == 1 else self.latest.since(self._pages[0][1])
