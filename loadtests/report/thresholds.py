"""Requirements on a run, for CI: `ttfa_p95_ms<=800`. Pure."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.client import oracles
from loadtests.client.caller_record import SERIES
from loadtests.report.load_result import LoadResult, Requirement

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_WISH: Final = re.compile(r"\s*(\w+)\s*(<=|>=|==|<|>)\s*(\d+(?:\.\d+)?)\s*")
_COUNTED: Final = (
    *("planned", "fine", "refused", "refused_by_us", "failed", "unfinished", "lost_with_process", "moved"),
    *("broken", "undeleted", "most_at_once"),
)
_STATISTICS: Final = ("p50", "p95", "p99", "most")
_OTHERS: Final[dict[str, Callable[[LoadResult], float | None]]] = {
    "failed_share": lambda found: _share(found.people.failed, _asked(found)),
    "refused_share": lambda found: _share(found.people.refused, _asked(found)),
    "gap_share": lambda found: _share(found.judgement.answers_with_gaps, found.judgement.answers),
    "answers": lambda found: found.judgement.answers,
    "answered": lambda found: found.judgement.answered,
    "compared_with_log": lambda found: found.judgement.compared_with_log,
    "client_late_p99_ms": lambda found: found.client.late_p99_ms,
    "turns_failed": lambda found: _given_up(found, "turn.failed"),
    "sentences_failed": lambda found: _given_up(found, "sentence.failed"),
    "transcripts_failed": lambda found: _given_up(found, "transcript.failed"),
    "kills": lambda found: sum(kill.pid is not None for kill in found.system.kills),
    "kills_not_followed": lambda found: sum(kill.back_s is None for kill in found.system.kills),
    "gateway_growth_mb_per_min": lambda found: found.system.gateway_growth_mb_per_min,
    "fd_growth_per_min": lambda found: max(found.system.fd_growth_per_min.values(), default=None),
    "thread_growth_per_min": lambda found: max(found.system.thread_growth_per_min.values(), default=None),
    "task_growth_per_min": lambda found: found.system.task_growth_per_min,
    "stream_growth_per_min": lambda found: found.system.stream_growth_per_min,
    "key_growth_per_min": lambda found: found.system.key_growth_per_min,
    "process_growth_per_min": lambda found: found.system.process_growth_per_min,
}
NAMES: Final = (
    *(f"{series}_{statistic}_ms" for series in SERIES for statistic in _STATISTICS),
    *_COUNTED,
    *oracles.KINDS,
    *_OTHERS,
)
"""Everything that can be required."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One of them."""

    name: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.limit:g}"


ALWAYS: Final = tuple(Threshold(name, "<=", 0.0) for name in (*oracles.NEVER, "lost_with_process"))
"""Asked for unless something else is said about the same name."""
_WITHOUT_KILLS: Final = (Threshold("failed", "<=", 0.0),)
"""Required of runs without kills alone: with kills, --require says how many callers may fail."""
_WITH_KILLS: Final = (Threshold("kills", ">", 0.0), Threshold("kills_not_followed", "<=", 0.0))
_SOMEBODY: Final = Threshold("answered", ">", 0.0)


def threshold(text: str) -> Threshold:
    """Raises ValueError, in words for whoever typed it."""
    found = _WISH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no requirement: a name, one of <= < >= > ==, and a number")
    if found[1] not in NAMES:
        raise ValueError(f"there is no figure {found[1]!r}; there are: {', '.join(NAMES)}")
    return Threshold(found[1], found[2], float(found[3]))


def checked(
    result: LoadResult, wishes: Sequence[Threshold], *, killing: bool = False
) -> tuple[Requirement, ...]:
    """A figure that there is not is a requirement that is not kept. `killing`: parts were to be killed."""
    said = {one.name for one in wishes}
    found = []
    for one in (*wishes, *(usual for usual in _usual(result, killing) if usual.name not in said)):
        value = figure(result, one.name)
        kept = value is not None and _SIGNS[one.sign](value, one.limit)
        found.append(Requirement(wish=str(one), value=value, kept=kept))
    return tuple(found)


def _usual(result: LoadResult, killing: bool) -> Iterator[Threshold]:
    """Of a run that was stopped by hand nobody can say what would have come yet."""
    yield from ALWAYS
    if not killing:
        yield from _WITHOUT_KILLS
    elif not result.stopped:
        yield from _WITH_KILLS
    if not result.stopped and _expects_answers(result):
        yield _SOMEBODY


def _expects_answers(result: LoadResult) -> bool:
    """Not where everybody was politely turned away, nor where callers did all they wanted and never asked."""
    people = result.people
    turned_away = people.refused + people.refused_by_us
    unasked = people.fine if result.judgement.answers == 0 else 0
    return turned_away + unasked < people.planned


def figure(result: LoadResult, name: str) -> float | None:
    """None: nothing of the kind happened, or nobody looked."""
    if name in _OTHERS:
        return _OTHERS[name](result)
    if name in oracles.KINDS:
        return result.judgement.counts[name]
    if name in _COUNTED:
        return float(getattr(result.people, name))
    series, statistic, _ = name.rsplit("_", 2)
    latency = result.latencies.get(series)
    return None if latency is None else float(getattr(latency, statistic))


def _asked(result: LoadResult) -> int:
    return result.people.planned - result.people.refused_by_us


def _given_up(result: LoadResult, event: str) -> int:
    return sum(times for what, times in result.judgement.given_up.items() if what.partition(" ")[0] == event)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
