"""Figures of `rhapsode top` as plain values: for the screen, and for scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cluster.terminal.metric_readings import Page, Readings, Spread
from pipeline.observability import metric_names
from pipeline.observability.metric_names import Metric

STAGES: Final[Mapping[str, Metric]] = {
    "waiting for its turn": metric_names.QUEUE_WAIT,
    "recognition": metric_names.RECOGNITION,
    "looking up": metric_names.RETRIEVAL,
    "model, first token": metric_names.TTFT,
    "first text": metric_names.FIRST_TEXT,
    "between deltas": metric_names.DELTA_GAP,
    "voice, first byte": metric_names.TTFB,
    "first audio": metric_names.TTFA,
    "first sound, heard": metric_names.FIRST_SOUND,
    "voice to voice": metric_names.VOICE_TO_VOICE,
    "gap of sentences": metric_names.GAP,
    "log append": metric_names.APPEND,
    "delivery": metric_names.DELIVERY,
    "event loop late": metric_names.LOOP_LAG,
}
"""In the order in which a turn meets them."""


_ERRORS: Final = (
    *(metric_names.TURN_ERRORS, metric_names.SENTENCE_ERRORS),
    *(metric_names.RECOGNITION_ERRORS, metric_names.RETRIEVAL_ERRORS),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One screen. Counts and latencies are of the last `seconds`; 0: since ever."""

    seconds: float
    sessions: Mapping[str, float]
    turns: Mapping[str, float]
    stages: Mapping[str, Spread]
    errors: Mapping[str, float]
    replicas: Mapping[str, Mapping[str, float]]
    log: Mapping[str, float]
    workers: Mapping[str, float]
    processes: Mapping[str, Mapping[str, float]]


def figures(readings: Readings) -> Figures:
    now, added = readings.latest, readings.added
    return Figures(
        seconds=round(readings.seconds, 1),
        sessions={
            "live": now.value(metric_names.LIVE) or 0,
            "owned": now.value(metric_names.OWNED) or 0,
            "followed": now.value(metric_names.FOLLOWED) or 0,
            "listeners": now.value(metric_names.LISTENERS) or 0,
            "turns running": now.value(metric_names.RUNNING) or 0,
            "room for turns": now.value(metric_names.ROOM) or 0,
        },
        turns={
            **{outcome: count for (outcome,), count in added.by(metric_names.TURNS, "outcome").items()},
            "takeovers": added.value(metric_names.TAKEOVERS) or 0,
            "underruns": added.value(metric_names.UNDERRUNS) or 0,
            "spoken seconds": round(added.value(metric_names.SPOKEN) or 0, 1),
        },
        stages={title: added.spread(metric) for title, metric in STAGES.items()},
        errors=_errors(added),
        replicas=_replicas(now),
        log=_log(now, added, readings.seconds),
        workers=_workers(now),
        processes=_processes(now, added),
    )


def _errors(added: Page) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in _ERRORS:
        for (code,), count in added.by(metric, "code").items():
            if count:
                found[code] = found.get(code, 0) + count
    return found


def _replicas(now: Page) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (deployment, state), count in sorted(now.by(metric_names.REPLICAS, "deployment", "state").items()):
        found.setdefault(deployment, {})[state] = count
    return found


def _log(now: Page, added: Page, seconds: float) -> dict[str, float]:
    found = {
        "up": now.value(metric_names.LOG_UP),
        "answer_ms": _scaled(now.value(metric_names.LOG_ANSWER), 1_000),
        "memory_mb": _scaled(now.value(metric_names.LOG_MEMORY), 1 / (1 << 20)),
        "limit_mb": _scaled(now.value(metric_names.LOG_LIMIT), 1 / (1 << 20)),
        "commands_per_s": _scaled(added.value(metric_names.LOG_COMMANDS), 1 / seconds) if seconds else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _workers(now: Page) -> dict[str, float]:
    found = {
        "processes": now.value(metric_names.PROCESSES),
        "lag": now.value(metric_names.LAG),
        "pending": now.value(metric_names.PENDING),
        "dead_letters": now.value(metric_names.DEAD_LETTERS),
        "oldest_pending_s": max(now.by(metric_names.OLDEST, "reader").values(), default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _processes(now: Page, added: Page) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (process,), memory in sorted(now.by(metric_names.MEMORY, "process").items()):
        row = {"memory_mb": round(memory / (1 << 20))}
        for title, metric in (
            ("owned", metric_names.OWNED),
            ("running", metric_names.RUNNING),
            ("outbox", metric_names.OUTBOX),
        ):
            if (value := now.value(metric, process=process)) is not None:
                row[title] = round(value)
        late = added.spread(metric_names.LOOP_LAG, process=process).p95
        found[process] = {**row, **({} if late is None else {"late_ms": round(late * 1_000, 1)})}
    return found


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 2)
