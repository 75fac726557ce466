"""A tally in words that people and scripts read."""

from pipeline.observability.tally import Series, Tally
from schemas.native.metric_answers import Measurement


def measurements(tally: Tally) -> tuple[Measurement, ...]:
    return tuple(map(_measurement, tally.series()))


def _measurement(series: Series) -> Measurement:
    labels = dict(zip(series.metric.labels, series.labels, strict=True))
    if series.metric.kind != "histogram":
        return Measurement(name=series.metric.name, labels=labels, total=series.total)
    return Measurement(
        name=series.metric.name,
        labels=labels,
        total=round(series.total, 6),
        count=series.count,
        p50=_rounded(series.quantile(0.5)),
        p95=_rounded(series.quantile(0.95)),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
