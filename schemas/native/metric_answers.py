"""Latencies of a session's answers, from its events."""

from schemas.document_models import ClosedModel


class Measurement(ClosedModel):
    """One metric with one set of labels, as docs/metrics.md describes it."""

    name: str
    labels: dict[str, str]
    total: float
    """Of a histogram: the sum of what was observed."""
    count: int | None = None
    """Of a histogram: how often something was observed."""
    p50: float | None = None
    """Estimated from the histogram's buckets."""
    p95: float | None = None


class SessionMetrics(ClosedModel):
    """Worked out from the log of the session, just now."""

    session_id: str
    metrics: tuple[Measurement, ...]
