"""From what was seen to the report. Pure arithmetic."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar, get_args

from loadtests.client import oracles
from loadtests.client.caller_record import SERIES, CallerOutcome, CallerRecord, LatencySample
from loadtests.report.load_result import (
    CallerCounts,
    CallerFailure,
    Judgement,
    Latency,
    OracleFault,
    TimelineStep,
)
from loadtests.report.tables import percentile

_T = TypeVar("_T")
_EDGES: Final = tuple(round(10 ** (power / 8), 1) for power in range(41))
"""1 ms to 100 s, eight to a power of ten."""
_BUCKETS: Final = 8
_MOMENTS: Final = (12, 60)
"""Fewest and most stretches of a timeline; between them, some callers come in each."""
_PEOPLE_EACH: Final = 4
_STEPS: Final = 8
_EXAMPLES: Final = 5


def latencies(samples: Iterable[LatencySample]) -> dict[str, Latency]:
    """Series without a sample are left out."""
    found: dict[str, list[float]] = {name: [] for name in SERIES}
    for sample in samples:
        found[sample.series].append(sample.ms)
    return {name: latency(values) for name, values in found.items() if values}


def latency(values: Sequence[float]) -> Latency:
    counts = [0] * (len(_EDGES) + 1)
    for value in values:
        counts[bisect_left(_EDGES, value)] += 1
    used = [number for number, count in enumerate(counts) if count]
    first, last = _wide_enough(used[0], used[-1])
    return Latency(
        n=len(values),
        p50=round(percentile(values, 0.5), 1),
        p95=round(percentile(values, 0.95), 1),
        p99=round(percentile(values, 0.99), 1),
        most=round(max(values), 1),
        edges=(*_EDGES, round(max(values), 1))[first : last + 1],
        counts=tuple(counts[first : last + 1]),
    )


def _wide_enough(first: int, last: int) -> tuple[int, int]:
    """At least so many buckets, so that a single one does not look like all there could be."""
    missing = max(0, _BUCKETS - (last - first + 1))
    first = max(0, first - missing // 2)
    return first, min(len(_EDGES), max(last, first + _BUCKETS - 1))


def people(visits: Sequence[CallerRecord]) -> CallerCounts:
    outcomes: dict[Any, Any] = Counter(visit.outcome for visit in visits)
    told = [visit.retry_after_s for visit in visits if visit.retry_after_s is not None]
    return CallerCounts(
        planned=len(visits),
        **{outcome: outcomes[outcome] for outcome in get_args(CallerOutcome)},
        moved=sum(visit.moves for visit in visits),
        broken=sum(visit.broken for visit in visits),
        undeleted=sum(visit.undeleted for visit in visits),
        most_at_once=CallersInside(visits).most,
        retry_after_s=round(sum(told) / len(told), 2) if told else None,
        retry_after_range_s=(min(told), max(told)) if told else None,
        refused_untold=sum(visit.outcome == "refused" and visit.retry_after_s is None for visit in visits),
        refused_inside=sum(visit.outcome == "refused" and visit.asked > 0 for visit in visits),
        codes=dict(Counter(visit.code for visit in visits if visit.code).most_common()),
    )


def by_scenario(visits: Sequence[CallerRecord]) -> dict[str, CallerCounts]:
    found: dict[str, list[CallerRecord]] = {}
    for visit in visits:
        found.setdefault(visit.scenario, []).append(visit)
    return {name: people(those) for name, those in sorted(found.items())}


def failures(visits: Iterable[CallerRecord]) -> list[CallerFailure]:
    """Callers that failed."""
    return [
        CallerFailure(
            person=visit.number,
            scenario=visit.scenario,
            at_s=round(visit.ended_s or 0.0, 1),
            code=visit.code,
            words=visit.words,
            sessions=tuple(visit.sessions),
        )
        for visit in visits
        if visit.outcome == "failed"
    ]


def first_of_each(found: Iterable[CallerFailure]) -> tuple[CallerFailure, ...]:
    """Some of each code, the earliest."""
    return _some(sorted(found, key=lambda one: one.at_s), lambda one: one.code)


def _some(found: Iterable[_T], kind: Callable[[_T], str]) -> tuple[_T, ...]:
    """The first few of each kind."""
    seen: Counter[str] = Counter()
    chosen = []
    for one in found:
        seen[kind(one)] += 1
        chosen += [one] if seen[kind(one)] <= _EXAMPLES else []
    return tuple(chosen)


class CallersInside:
    """How many callers there were at any moment, in all processes together."""

    def __init__(self, visits: Iterable[CallerRecord]) -> None:
        steps = []
        for visit in visits:
            if visit.ended_s is not None and visit.outcome != "refused_by_us":
                steps += [(visit.due_s + visit.late_s, 1), (visit.ended_s, -1)]
        steps.sort()
        self._at_s = [at_s for at_s, _ in steps]
        self._counts = [0, *accumulate(step for _, step in steps)]

    @property
    def most(self) -> int:
        return max(self._counts)

    def at(self, at_s: float) -> int:
        return self._counts[bisect_right(self._at_s, at_s)]

    def between(self, begins_s: float, ends_s: float) -> float:
        """On average."""
        moments = [begins_s + (ends_s - begins_s) * (step + 0.5) / _STEPS for step in range(_STEPS)]
        return sum(map(self.at, moments)) / _STEPS


def answered(visits: Iterable[CallerRecord], epoch_s: float) -> list[LatencySample]:
    """The latencies of all answers; of several listeners of a session only the first, who asked."""
    samples = []
    for visit in visits:
        samples += visit.samples
        first: set[str] = set()
        for session, notes in visit.heard:
            if session in first:
                continue
            first.add(session)
            for turn in notes.turns.values():
                at_s = turn.asked_s - epoch_s
                answer = turn.answer
                times = {"ttfa": answer.ttfa_ms, "whole": answer.whole_ms or None}
                if notes.spoken_to:
                    times = {"v2v": answer.ttfa_ms}
                elif not turn.read_out:
                    times["ttft"] = answer.ttft_ms
                samples += [LatencySample(name, at_s, ms) for name, ms in times.items() if ms is not None]
    return samples


def judgement(visits: Sequence[CallerRecord]) -> Judgement:
    return together([_judged(visit) for visit in visits])


def _judged(visit: CallerRecord) -> Judgement:
    listeners = [notes for _, notes in visit.heard]
    turns = [(notes, turn) for notes in listeners for turn in notes.turns.values()]
    found = [(visit.heard[0][0], one) for one in visit.differing]
    found += [(session, one) for session, notes in visit.heard for one in oracles.judge(notes)]
    # Of several listeners of a session the first, who asked.
    askers = {session: notes for session, notes in reversed(visit.heard)}.values()
    who: dict[str, Any] = {"person": visit.number, "scenario": visit.scenario}
    return Judgement(
        listeners=len(listeners),
        facts=sum(len(notes.seqs) for notes in listeners),
        answers=len(turns),
        answered=sum(turn.answered for _, turn in turns),
        answers_with_gaps=sum(bool(oracles.audible(notes, turn)) for notes, turn in turns),
        counts=Counter(one.kind for _, one in found),
        compared_with_log=visit.compared,
        given_up=sum((notes.given_up for notes in askers), Counter()),
        examples=tuple(
            OracleFault(kind=one.kind, words=one.words, session=where, **who) for where, one in found
        ),
    )


def together(parts: Sequence[Judgement]) -> Judgement:
    """Of several callers or processes. Listeners are judged one by one, so that the parts add up."""
    names = ("listeners", "facts", "answers", "answered", "answers_with_gaps", "compared_with_log")
    sums: dict[str, Any] = {name: sum(getattr(part, name) for part in parts) for name in names}
    return Judgement(
        **sums,
        counts={kind: sum(part.counts.get(kind, 0) for part in parts) for kind in oracles.KINDS},
        given_up=dict(sum((Counter(part.given_up) for part in parts), Counter[str]())),
        examples=_some((one for part in parts for one in part.examples), lambda one: one.kind),
    )


def timeline(
    visits: Sequence[CallerRecord], samples: Sequence[LatencySample], seconds: float
) -> tuple[TimelineStep, ...]:
    """Stretches of one second at least."""
    fewest, most = _MOMENTS
    step = max(1.0, seconds / min(most, max(fewest, len(visits) // _PEOPLE_EACH)))
    inside = CallersInside(visits)
    moments = []
    for number in range(int(seconds / step) + 1):
        begins, ends = number * step, (number + 1) * step
        came = [visit for visit in visits if begins <= visit.due_s < ends]
        gone = [v for v in visits if v.ended_s is not None and begins <= v.ended_s < ends]
        first = [sample for sample in samples if begins <= sample.at_s < ends]
        audio = [sample.ms for sample in first if sample.series in ("ttfa", "v2v")]
        text = [sample.ms for sample in first if sample.series == "ttft"]
        moments.append(
            TimelineStep(
                at_s=round(begins, 1),
                people=round(inside.between(begins, min(ends, seconds)), 1),
                came=len(came),
                refused=sum(visit.outcome in ("refused", "refused_by_us") for visit in gone),
                failed=sum(visit.outcome == "failed" for visit in gone),
                ttfa_p50_ms=round(percentile(audio, 0.5), 1) if audio else None,
                ttfa_p95_ms=round(percentile(audio, 0.95), 1) if audio else None,
                ttft_p50_ms=round(percentile(text, 0.5), 1) if text else None,
            )
        )
    return tuple(moments)
