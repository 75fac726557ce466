"""What `rhapsode top` shows, as plain values: for the screen, and for scripts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from cluster.readings import Page, Readings, Spread
from pipeline.metrics import names
from pipeline.metrics.names import Metric

STAGES: Final[Mapping[str, Metric]] = {
    "waiting for its turn": names.QUEUE_WAIT,
    "recognition": names.RECOGNITION,
    "looking up": names.RETRIEVAL,
    "model, first token": names.TTFT,
    "first text": names.FIRST_TEXT,
    "between deltas": names.DELTA_GAP,
    "voice, first byte": names.TTFB,
    "first audio": names.TTFA,
    "first sound, heard": names.FIRST_SOUND,
    "voice to voice": names.VOICE_TO_VOICE,
    "gap of sentences": names.GAP,
    "log append": names.APPEND,
    "delivery": names.DELIVERY,
    "event loop late": names.LOOP_LAG,
}
"""In the order in which a turn meets them."""


_ERRORS: Final = (
    *(names.TURN_ERRORS, names.SENTENCE_ERRORS),
    *(names.RECOGNITION_ERRORS, names.RETRIEVAL_ERRORS),
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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def figures(readings: Readings) -> Figures:
    now, added = readings.latest, readings.added
    return Figures(
        seconds=round(readings.seconds, 1),
        sessions={
            "live": now.value(names.LIVE) or 0,
            "owned": now.value(names.OWNED) or 0,
            "followed": now.value(names.FOLLOWED) or 0,
            "listeners": now.value(names.LISTENERS) or 0,
            "turns running": now.value(names.RUNNING) or 0,
            "room for turns": now.value(names.ROOM) or 0,
        },
        turns={
            **{outcome: count for (outcome,), count in added.by(names.TURNS, "outcome").items()},
            "takeovers": added.value(names.TAKEOVERS) or 0,
            "underruns": added.value(names.UNDERRUNS) or 0,
            "spoken seconds": round(added.value(names.SPOKEN) or 0, 1),
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
    for (deployment, state), count in sorted(now.by(names.REPLICAS, "deployment", "state").items()):
        found.setdefault(deployment, {})[state] = count
    return found


def _log(now: Page, added: Page, seconds: float) -> dict[str, float]:
    found = {
        "up": now.value(names.LOG_UP),
        "answer_ms": _scaled(now.value(names.LOG_ANSWER), 1_000),
        "memory_mb": _scaled(now.value(names.LOG_MEMORY), 1 / (1 << 20)),
        "limit_mb": _scaled(now.value(names.LOG_LIMIT), 1 / (1 << 20)),
        "commands_per_s": _scaled(added.value(names.LOG_COMMANDS), 1 / seconds) if seconds else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _workers(now: Page) -> dict[str, float]:
    found = {
        "processes": now.value(names.PROCESSES),
        "lag": now.value(names.LAG),
        "pending": now.value(names.PENDING),
        "dead_letters": now.value(names.DEAD_LETTERS),
        "oldest_pending_s": max(now.by(names.OLDEST, "reader").values(), default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _processes(now: Page, added: Page) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (process,), memory in sorted(now.by(names.MEMORY, "process").items()):
        row = {"memory_mb": round(memory / (1 << 20))}
        for title, metric in (("owned", names.OWNED), ("running", names.RUNNING), ("outbox", names.OUTBOX)):
            if (value := now.value(metric, process=process)) is not None:
                row[title] = round(value)
        late = added.spread(names.LOOP_LAG, process=process).p95
        found[process] = {**row, **({} if late is None else {"late_ms": round(late * 1_000, 1)})}
    return found


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 2)
