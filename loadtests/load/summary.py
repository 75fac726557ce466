"""From what was seen to the report. Pure arithmetic."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from loadtests.figures import percentile
from loadtests.load import oracles
from loadtests.load.oracles import Finding
from loadtests.load.result import (
    ClientSeen,
    Fault,
    Judgement,
    Latency,
    Load,
    Moment,
    People,
    SystemSeen,
)
from loadtests.load.runner import Run
from loadtests.load.system import Look
from loadtests.load.visit import SERIES, Sample, Visit
from loadtests.voice.soak import slope_per_minute

_EDGES: Final = tuple(round(10 ** (power / 8), 1) for power in range(41))
"""1 ms to 100 s, eight to a power of ten."""
_BUCKETS: Final = 8
_MOMENTS: Final = (12, 60)
"""Fewest and most stretches of a timeline; between them, some people come in each."""
_PEOPLE_EACH: Final = 4
_LOADS: Final = 120
_EXAMPLES: Final = 5
_SHORTEST_GROWTH_S: Final = 120.0
_MEGABYTE: Final = 2.0**20


def latencies(samples: Iterable[Sample]) -> dict[str, Latency]:
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


def people(visits: Sequence[Visit], most_at_once: int) -> People:
    outcomes = Counter(visit.outcome for visit in visits)
    told = [visit.retry_after_s for visit in visits if visit.retry_after_s is not None]
    return People(
        planned=len(visits),
        fine=outcomes["fine"],
        refused=outcomes["refused"],
        refused_by_us=outcomes["refused_by_us"],
        failed=outcomes["failed"],
        unfinished=outcomes["unfinished"],
        most_at_once=most_at_once,
        retry_after_s=round(sum(told) / len(told), 2) if told else None,
        codes=dict(Counter(visit.code for visit in visits if visit.code).most_common()),
    )


def by_scenario(visits: Sequence[Visit]) -> dict[str, People]:
    found: dict[str, list[Visit]] = {}
    for visit in visits:
        found.setdefault(visit.scenario, []).append(visit)
    return {name: people(those, _most_at_once(those)) for name, those in sorted(found.items())}


def _most_at_once(visits: Sequence[Visit]) -> int:
    stayed = [visit for visit in visits if visit.ended_s is not None and visit.outcome != "refused_by_us"]
    steps = sorted([(v.due_s, 1) for v in stayed] + [(v.ended_s or 0.0, -1) for v in stayed])
    return max([0, *accumulate(step for _, step in steps)])


def answered(visits: Iterable[Visit], epoch_s: float) -> list[Sample]:
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
                samples += [Sample(name, at_s, ms) for name, ms in times.items() if ms is not None]
    return samples


def judgement(visits: Sequence[Visit], against_log: dict[int, list[Finding]], compared: int) -> Judgement:
    """`against_log`: by the person's number."""
    counts = dict.fromkeys(oracles.KINDS, 0)
    examples: list[Fault] = []
    listeners = facts = answers = with_gaps = 0
    for visit in visits:
        found: list[tuple[str, Finding]] = [
            (visit.heard[0][0], one) for one in against_log.get(visit.number, [])
        ]
        for session, notes in visit.heard:
            listeners += 1
            facts += len(notes.seqs)
            answers += len(notes.turns)
            with_gaps += sum(bool(oracles.audible(notes, turn)) for turn in notes.turns.values())
            found += [(session, one) for one in oracles.judge(notes)]
        for session, one in found:
            counts[one.kind] += 1
            if counts[one.kind] <= _EXAMPLES:
                examples.append(
                    Fault(
                        kind=one.kind,
                        person=visit.number,
                        scenario=visit.scenario,
                        session=session,
                        words=one.words,
                    )
                )
    return Judgement(
        listeners=listeners,
        facts=facts,
        answers=answers,
        answers_with_gaps=with_gaps,
        counts=counts,
        compared_with_log=compared,
        examples=tuple(examples),
    )


def timeline(run: Run, samples: Sequence[Sample]) -> tuple[Moment, ...]:
    """Stretches of one second at least."""
    fewest, most = _MOMENTS
    step = max(1.0, run.seconds / min(most, max(fewest, len(run.visits) // _PEOPLE_EACH)))
    moments = []
    for number in range(int(run.seconds / step) + 1):
        begins, ends = number * step, (number + 1) * step
        ticks = [tick.people for tick in run.ticks if begins <= tick.at_s < ends]
        came = [visit for visit in run.visits if begins <= visit.due_s < ends]
        gone = [v for v in run.visits if v.ended_s is not None and begins <= v.ended_s < ends]
        first = [sample for sample in samples if begins <= sample.at_s < ends]
        audio = [sample.ms for sample in first if sample.series in ("ttfa", "v2v")]
        text = [sample.ms for sample in first if sample.series == "ttft"]
        moments.append(
            Moment(
                at_s=round(begins, 1),
                people=round(sum(ticks) / len(ticks), 1) if ticks else 0.0,
                came=len(came),
                refused=sum(visit.outcome in ("refused", "refused_by_us") for visit in gone),
                failed=sum(visit.outcome == "failed" for visit in gone),
                ttfa_p50_ms=round(percentile(audio, 0.5), 1) if audio else None,
                ttfa_p95_ms=round(percentile(audio, 0.95), 1) if audio else None,
                ttft_p50_ms=round(percentile(text, 0.5), 1) if text else None,
            )
        )
    return tuple(moments)


def system(run: Run, why_not: str) -> SystemSeen:
    """Growth is the slope of the second half; what is made once and kept is made in the first."""
    memory = [
        (look.at_s, look.figures["gateway_bytes"]) for look in run.looks if "gateway_bytes" in look.figures
    ]
    growth = None
    if memory and memory[-1][0] - memory[0][0] >= _SHORTEST_GROWTH_S:
        at_s, found = zip(*memory, strict=True)
        growth = round(slope_per_minute(at_s, [value / _MEGABYTE for value in found]), 2)
    every = max(1, len(run.looks) // _LOADS)
    looks = run.looks[::every]
    loads = [_load(run, before, look) for before, look in zip([None, *looks], looks, strict=False)]
    return SystemSeen(
        looked=bool(memory), why_not=why_not, loads=tuple(loads), gateway_growth_mb_per_min=growth
    )


def _load(run: Run, before: Look | None, look: Look) -> Load:
    ticks = [tick.people for tick in run.ticks if abs(tick.at_s - look.at_s) <= 1.0]
    now = look.figures

    def rate(name: str) -> float | None:
        if before is None or name not in now or name not in before.figures:
            return None
        return round(max(0.0, now[name] - before.figures[name]) / (look.at_s - before.at_s), 3)

    def megabytes(name: str) -> float | None:
        return round(now[name] / _MEGABYTE, 2) if name in now else None

    return Load(
        at_s=round(look.at_s, 1),
        people=round(sum(ticks) / len(ticks), 1) if ticks else 0.0,
        gateway_mb=megabytes("gateway_bytes"),
        log_mb=megabytes("log_bytes"),
        cores=rate("cpu_s"),
        log_commands_per_s=rate("log_commands"),
    )


def client(run: Run) -> ClientSeen:
    late = [tick.late_ms for tick in run.ticks] or [0.0]
    starts = [visit.late_s * 1_000 for visit in run.visits] or [0.0]
    used = run.ticks[-1].cpu_s - run.ticks[0].cpu_s if run.ticks else 0.0
    return ClientSeen(
        late_p99_ms=round(percentile(late, 0.99), 1),
        late_most_ms=round(max(late), 1),
        starts_late_p99_ms=round(percentile(starts, 0.99), 1),
        cpu_s=round(used, 2),
        frames=run.traffic.frames,
        megabytes=round(run.traffic.bytes / 1e6, 2),
    )
