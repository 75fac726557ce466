"""The load curve: steps and verdicts as JSON, one page, a picture, and a table that is kept.

Readers of the JSON look at `version` first; a field that means something else gets a new one.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from loadtests.client import oracles
from loadtests.report.load_result import LoadResult, ReportPart, SystemLoad
from loadtests.report.svg_charts import ChartLine, Figure, lines, milliseconds, per_second, plain, rendered
from loadtests.report.tables import ROOT, keep_newest, mark_of, table_of


class CurveStep(ReportPart):
    """So many callers came each second, whether or not others had been answered."""

    per_s: float
    came: int
    people_mean: float
    """Inside while callers came, on average."""
    people_most: int
    admitted: int
    refused: int
    refused_inside: int
    """Of them, those whose earlier question had been taken."""
    refused_untold: int
    """Of them, those who were not told when to come back."""
    codes: dict[str, int]
    """Of refusals and failures."""
    retry_after_s: tuple[float, float] | None
    """The least and the most that the refused were told to wait."""
    not_answered: int
    """Failed, or still there when the step was over."""
    answers: int
    ttfa_p50_ms: float | None
    """Time to first audio of those who were admitted, from when their question was due; of their first one
    that is when they were due to come, so that opening a session and connecting are part of it."""
    ttfa_p95_ms: float | None
    ratio_p50: float | None
    """Of the first step's."""
    ratio_p95: float | None
    answers_with_gaps: int
    faults: dict[str, int]
    """Counts of cut tails, cross-talk, events lost, doubled, disordered or differing."""
    gateway_cpu_ms_each: float | None
    """Processor time of the gateways for each who was admitted, with what they take when idle; None: not
    ours to look at."""
    gateway_mb_each: float | None
    """Growth of the gateways' memory in this step, for each of the most callers inside at once."""
    cores: float | None
    """Processor cores that the whole system used while callers came."""
    client_late_p99_ms: float
    client_late: bool
    """This client was late itself, so that the figures are partly its own."""

    stolen: float = 0.0
    """Which part of the processors other machines had meanwhile."""

    @property
    def wrong(self) -> int:
        return sum(self.faults.values())


class CurveVerdict(ReportPart):
    """A statement, and whether it was kept. None: there was nothing to judge, which counts as not kept."""

    says: str
    kept: bool | None
    found: str


class LoadCurve(ReportPart):
    """One run. `whole`: what `make load` says of each step."""

    version: Literal[2] = 2
    """1: time to first audio of a first question began when its caller was connected."""
    when: str
    machine: str
    commit: str
    command: str
    own_system: bool
    scenario: str
    seconds: float
    """Of each step; the first one is twice as long, because everything is compared with it."""
    stopped: bool = False
    """Before its end, by hand or by an error: steps are missing, or the last one is not whole."""
    late: float
    """So many times as late as in the first step (p95) is where load is said to be felt."""
    flat: float
    """And so many times is what those who are let in beyond that may get."""
    steps: tuple[CurveStep, ...]
    verdicts: tuple[CurveVerdict, ...]
    whole: tuple[LoadResult, ...]


_GATEWAY: Final = "Gateway"


def steps(
    rates: Sequence[float], results: Sequence[LoadResult], seconds: Sequence[float]
) -> tuple[CurveStep, ...]:
    """The first one is what the others are compared with. `seconds`: how long callers came in each."""
    found = [_step(*one) for one in zip(rates, results, seconds, strict=True)]
    if not found:
        return ()
    first = found[0]
    return tuple(
        one.model_copy(
            update={
                "ratio_p50": _ratio(one.ttfa_p50_ms, first.ttfa_p50_ms),
                "ratio_p95": _ratio(one.ttfa_p95_ms, first.ttfa_p95_ms),
            }
        )
        for one in found
    )


def _step(per_s: float, result: LoadResult, seconds: float) -> CurveStep:
    people, heard = result.people, result.latencies.get("ttfa")
    moments = [moment.people for moment in result.timeline if moment.at_s < seconds]
    admitted = people.planned - people.refused_by_us - (people.refused - people.refused_inside)
    return CurveStep(
        per_s=per_s,
        came=people.planned,
        people_mean=round(sum(moments) / len(moments), 1) if moments else 0.0,
        people_most=people.most_at_once,
        admitted=admitted,
        refused=people.refused,
        refused_inside=people.refused_inside,
        refused_untold=people.refused_untold,
        codes=people.codes,
        retry_after_s=people.retry_after_range_s,
        not_answered=people.failed + people.unfinished + people.lost_with_process + people.refused_by_us,
        answers=result.judgement.answers,
        ttfa_p50_ms=heard.p50 if heard else None,
        ttfa_p95_ms=heard.p95 if heard else None,
        ratio_p50=None,
        ratio_p95=None,
        answers_with_gaps=result.judgement.answers_with_gaps,
        faults={kind: result.judgement.counts[kind] for kind in oracles.NEVER},
        gateway_cpu_ms_each=_gateway_cpu_ms(result.system.loads, admitted),
        gateway_mb_each=_gateway_mb(result.system.loads, people.most_at_once),
        cores=_cores([load for load in result.system.loads if load.at_s <= seconds]),
        client_late_p99_ms=result.client.late_p99_ms,
        client_late=result.client.late,
        stolen=result.stolen,
    )


def _ratio(value: float | None, first: float | None) -> float | None:
    return round(value / first, 2) if value is not None and first else None


def _gateway_cpu_ms(loads: Sequence[SystemLoad], admitted: int) -> float | None:
    """Each look says what was used since the one before."""
    spent = [
        load.part_cores[_GATEWAY] * (load.at_s - before.at_s) * 1_000
        for before, load in pairwise(loads)
        if _GATEWAY in load.part_cores
    ]
    return round(sum(spent) / admitted, 1) if spent and admitted else None


def _gateway_mb(loads: Sequence[SystemLoad], people: int) -> float | None:
    held = [
        megabytes for load in loads if (megabytes := load.part_mb.get(_GATEWAY, load.gateway_mb)) is not None
    ]
    return round(max(0.0, max(held) - held[0]) / people, 2) if held and people else None


def _cores(loads: Sequence[SystemLoad]) -> float | None:
    used = [load.cores for load in loads if load.cores is not None]
    return round(sum(used) / len(used), 2) if used else None


def knee(found: Sequence[CurveStep], late: float) -> int:
    """The number of the last step, from the first on, whose p95 is within `late` times the first one's.

    -1: not even the first can be judged.
    """
    for number, step in enumerate(found):
        if step.ratio_p95 is None or step.ratio_p95 > late:
            return number - 1
    return len(found) - 1


def verdicts(found: Sequence[CurveStep], late: float, flat: float) -> tuple[CurveVerdict, ...]:
    """Verdicts on quality up to where load is felt, and beyond."""
    last = knee(found, late)
    return (_up_to(found, last, late), _beyond(found, last, flat))


def _up_to(found: Sequence[CurveStep], last: int, late: float) -> CurveVerdict:
    says = f"Where first audio is still within {late:g}x (p95): no gap is heard, nothing lost or out of order"
    if last < 0:
        return CurveVerdict(says=says, kept=None, found="nobody was heard in the first step")
    step, judged = found[last], found[: last + 1]
    gaps, answers, wrong, lost = (
        sum(one.answers_with_gaps for one in judged),
        sum(one.answers for one in judged),
        sum(one.wrong for one in judged),
        sum(one.not_answered for one in judged),
    )
    words = (
        f"{_rate(step)}, {step.people_mean:g} people at once ({step.people_most} at most): "
        f"p95 {step.ratio_p95:g}x; up to there {gaps} of {answers} answers with a gap, "
        f"{wrong} faults, {lost} not answered"
    )
    return CurveVerdict(says=says, kept=not (gaps or wrong or lost), found=words)


def _beyond(found: Sequence[CurveStep], last: int, flat: float) -> CurveVerdict:
    says = (
        f"Beyond it: first audio of those who are let in stays within {flat:g}x (p95), the others are "
        "refused with a code and a wait, nobody who was inside is, and nothing is lost"
    )
    past = found[last + 1 :]
    if not any(step.refused for step in found):
        return CurveVerdict(
            says=says, kept=None, found="nobody was refused: more has to be offered (--rates)"
        )
    judged = past or [step for step in found if step.refused]
    worst = max(judged, key=lambda step: step.ratio_p95 or 0.0)
    refused = sum(step.refused for step in judged)
    inside, untold, lost, wrong = (
        sum(step.refused_inside for step in judged),
        sum(step.refused_untold for step in judged),
        sum(step.not_answered for step in judged),
        sum(step.wrong for step in found),
    )
    known = all(step.ratio_p95 is not None for step in judged)
    kept = known and (worst.ratio_p95 or 0.0) <= flat and not (inside or untold or lost or wrong)
    words = (
        f"at most {worst.ratio_p95 or 0:g}x ({_rate(worst)}); {refused} refused, {untold} of them without "
        f"a wait and {inside} from inside; {lost} let in and not answered, {wrong} faults in all steps"
    )
    return CurveVerdict(says=says, kept=kept, found=words)


def _rate(step: CurveStep) -> str:
    return f"{step.per_s:g}/s"


_ALONG: Final = "by callers who come a second"
_FIGURES: Final = (
    (
        "First audio of those who were let in",
        f"from when the question was due (of the first, the caller), {_ALONG}",
        milliseconds,
    ),
    ("Callers", f"each second, {_ALONG}", plain),
    ("Inside at once", _ALONG, plain),
    (
        "Cost of a caller",
        "processor time of the gateways in ms, what they take when idle included, for each one let in",
        milliseconds,
    ),
)
"""Title, caption and unit of each chart."""


def page(curve: LoadCurve) -> str:
    """HTML."""
    return rendered("curve.html", curve=curve, charts=_charts(curve))


def picture(curve: LoadCurve) -> str:
    """SVG, with its colours in it."""
    return rendered("curve.svg", charts=_charts(curve)) + "\n"


def _charts(curve: LoadCurve) -> list[Figure]:
    steps = curve.steps
    at = [step.per_s for step in steps]
    last = knee(steps, curve.late)
    marked = [(at[last], f"{curve.late:g}x")] if 0 <= last < len(at) else []

    def line(name: str, style: str, value: Callable[[CurveStep], float | None]) -> ChartLine:
        return ChartLine(name, style, [value(step) for step in steps])

    def share(name: str, style: str, callers: Callable[[CurveStep], int]) -> ChartLine:
        """Of the callers who came, as a rate."""
        return line(name, style, lambda step: step.per_s * callers(step) / step.came)

    audio = [
        line("p50", "one", lambda step: step.ttfa_p50_ms),
        line("p95", "two", lambda step: step.ttfa_p95_ms),
    ]
    callers = [
        share("let in", "one", lambda step: step.admitted),
        share("refused", "warn", lambda step: step.refused),
        share("not answered", "bad", lambda step: step.not_answered),
    ]
    inside = [
        line("mean", "one", lambda step: step.people_mean),
        line("most", "two", lambda step: float(step.people_most)),
    ]
    cost = [line("gateways", "one", lambda step: step.gateway_cpu_ms_each)]
    series = zip(_FIGURES, (audio, callers, inside, cost), strict=True)
    return [
        (title, words, lines(title, at, drawn, shown, along=per_second, marked=marked))
        for (title, words, shown), drawn in series
    ]


DOCS: Final = ROOT / "docs"
MARK: Final = mark_of("make load-curve")


def curve_table(curve: LoadCurve) -> str:
    """Heading, a row for each step, and the two verdicts: Markdown."""
    said = [f"* {verdict_word(one.kept)}: {one.says}. Found: {one.found}." for one in curve.verdicts]
    how = f"`{curve.command}`, {curve.scenario}, {curve.seconds:g} s a step"
    about = f"{curve.machine}; {how}, commit {curve.commit}"
    return "\n".join([f"### {curve.when}", "", about, "", table_of(map(_row, curve.steps)), *said, ""])


def verdict_word(kept: bool | None) -> str:
    """Of a statement."""
    return "not judged" if kept is None else "kept" if kept else "NOT KEPT"


def keep(curve: LoadCurve, docs: Path = DOCS) -> None:
    """The table on top of the others, and the picture. Raises ValueError where there is no place for it."""
    keep_newest(curve_table(curve), MARK, docs / "measurements.md")
    (docs / "load-curve.svg").write_text(picture(curve), "utf-8")


def _row(step: CurveStep) -> dict[str, str]:
    waits = "-" if step.retry_after_s is None else "{:g} to {:g}".format(*step.retry_after_s)
    codes = ", ".join(f"{code} {number}" for code, number in step.codes.items())
    return {
        "come a second": f"{step.per_s:g}",
        "inside, mean (most)": f"{step.people_mean:g} ({step.people_most})",
        "let in": str(step.admitted),
        "refused": f"{step.refused} ({codes})" if codes else str(step.refused),
        "told to wait, s": waits,
        "first audio p50 / p95 ms": f"{_number(step.ttfa_p50_ms)} / {_number(step.ttfa_p95_ms)}",
        "of the first step": f"{_number(step.ratio_p50, 2)} / {_number(step.ratio_p95, 2)}",
        "answers with a gap": f"{step.answers_with_gaps} of {step.answers}",
        "faults": str(step.wrong),
        "not answered": str(step.not_answered),
        "gateway CPU ms, MB each": f"{_number(step.gateway_cpu_ms_each)}, {_number(step.gateway_mb_each, 2)}",
        "cores": _number(step.cores, 2),
        "client late, ms": f"{step.client_late_p99_ms:.0f}{' (late)' if step.client_late else ''}",
        "stolen": f"{step.stolen:.0%}",
    }


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
