"""The panels of the dashboard, written with the pinned names: none asks for a metric that is not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.observability import metric_names
from pipeline.observability.metric_names import Metric

SPAN: Final = "$__rate_interval"
"""Grafana fills it in: a few scrapes, at least."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what its lines are called."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `limit`: a line that should not be crossed."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    about: str = ""
    limit: float | None = None
    width: int = 8


@dataclass(frozen=True, slots=True)
class PanelRow:
    title: str
    panels: Sequence[Panel]


def _p(metric: Metric, share: float, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric.name}_bucket[{SPAN}])))"


def _spread(metric: Metric, what: str = "") -> tuple[Query, ...]:
    name = f"{what} " if what else ""
    return Query(_p(metric, 0.5), f"{name}p50"), Query(_p(metric, 0.95), f"{name}p95")


def _rate(metric: Metric, by: str, legend: str = "", factor: float = 1) -> Query:
    times = f" * {factor:g}" if factor != 1 else ""
    labels = f" by ({by})" if by else ""
    return Query(f"sum{labels} (rate({metric.name}[{SPAN}])){times}", legend or f"{{{{{by}}}}}")


def _now(metric: Metric, legend: str, by: str = "") -> Query:
    return Query(f"sum{f' by ({by})' if by else ''} ({metric.name})", legend)


_UNDERRUNS: Final = (
    f"3600 * sum(rate({metric_names.UNDERRUNS.name}[{SPAN}])) / sum(rate({metric_names.HEARD.name}[{SPAN}]))"
)
_FELT: Final = PanelRow(
    "Noticed by users",
    (
        Panel(
            "Time to first audio",
            _spread(metric_names.TTFA),
            "s",
            "From the request to its first sound in the log.",
            limit=0.8,
        ),
        Panel(
            "Heard by listeners",
            (
                *_spread(metric_names.FIRST_SOUND, "first sound"),
                Query(_p(metric_names.VOICE_TO_VOICE, 0.95), "voice to voice p95"),
            ),
            "s",
            "First sound out of a loudspeaker, as listeners say; and from the end of speech to the answer.",
        ),
        Panel("Turns", (_rate(metric_names.TURNS, "outcome", factor=60),), "opm", "Ended, per minute."),
        Panel(
            "Underruns for each hour of listening",
            (Query(_UNDERRUNS, "underruns"),),
            about="By listeners who report.",
        ),
        Panel(
            "Silence between sentences",
            _spread(metric_names.GAP),
            "s",
            "0 where the next sentence was there in time.",
        ),
        Panel(
            "Errors",
            (
                _rate(metric_names.TURN_ERRORS, "code", "turn: {{code}}", 60),
                _rate(metric_names.SENTENCE_ERRORS, "code", "sentence: {{code}}", 60),
                _rate(metric_names.RECOGNITION_ERRORS, "code", "recognition: {{code}}", 60),
            ),
            "opm",
            "Per minute, by code.",
        ),
    ),
)
_STAGES: Final = PanelRow(
    "Stages",
    (
        Panel("Waiting for its turn", _spread(metric_names.QUEUE_WAIT), "s"),
        Panel(
            "Language model",
            (
                *_spread(metric_names.TTFT, "first token"),
                Query(_p(metric_names.DELTA_GAP, 0.95), "between deltas p95"),
            ),
            "s",
        ),
        Panel("Voice: first byte of a sentence", _spread(metric_names.TTFB), "s"),
        Panel("Recognition: end of sound to text", _spread(metric_names.RECOGNITION), "s"),
        Panel(
            "Real-time factors",
            (
                Query(_p(metric_names.SYNTHESIS_RTF, 0.95), "synthesis p95"),
                Query(_p(metric_names.RECOGNITION_RTF, 0.95), "recognition p95"),
            ),
            about="Below 1 is faster than speech.",
            limit=1.0,
        ),
        Panel(
            "Sentences ahead of the listener",
            (Query(_p(metric_names.AHEAD, 0.05), "p5"), *_spread(metric_names.AHEAD)),
        ),
    ),
)
_LOAD: Final = PanelRow(
    "Load",
    (
        Panel(
            "Sessions",
            (
                _now(metric_names.LIVE, "live"),
                _now(metric_names.OWNED, "owned"),
                _now(metric_names.LISTENERS, "listeners"),
            ),
        ),
        Panel("Turns running", (_now(metric_names.RUNNING, "running"), _now(metric_names.ROOM, "room"))),
        Panel(
            "Throughput",
            (
                _rate(metric_names.TOKENS, "direction", "tokens {{direction}}/s"),
                _rate(metric_names.SPOKEN, "", "seconds of speech/s"),
            ),
        ),
        Panel("Replicas", (_now(metric_names.REPLICAS, "{{deployment}} {{state}}", "deployment, state"),)),
        Panel(
            "Takeovers",
            (
                _rate(metric_names.TAKEOVERS, "", "of turns", 60),
                _rate(metric_names.OWNER_CHANGES, "", "of sessions", 60),
            ),
            "opm",
            "Per minute.",
        ),
        Panel("Memory", (_now(metric_names.MEMORY, "{{process}}", "process"),), "bytes"),
    ),
)
_LOG: Final = PanelRow(
    "Log and workers",
    (
        Panel("Append", _spread(metric_names.APPEND), "s", "One round trip.", limit=0.05),
        Panel(
            "Delivery", _spread(metric_names.DELIVERY), "s", "From an event's time to where somebody listens."
        ),
        Panel("Event loops late", (Query(_p(metric_names.LOOP_LAG, 0.95, "process"), "{{process}}"),), "s"),
        Panel(
            "Log server's memory",
            (_now(metric_names.LOG_MEMORY, "used"), _now(metric_names.LOG_LIMIT, "limit")),
            "bytes",
        ),
        Panel(
            "Workers",
            (
                _now(metric_names.LAG, "not taken: {{reader}}", "reader"),
                _now(metric_names.DEAD_LETTERS, "dead letters: {{reader}}", "reader"),
            ),
        ),
        Panel(
            "Disk free",
            (Query(f"min({metric_names.DISK_FREE.name} / {metric_names.DISK_SIZE.name})", "least"),),
            "percentunit",
        ),
    ),
)
ROWS: Final = (_FELT, _STAGES, _LOAD, _LOG)
