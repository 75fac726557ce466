"""The curve as one page, as one picture by itself, and as a table that is kept. Pure but for `keep`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from loadtests.report.curve_verdicts import CurveStep, LoadCurve, knee
from loadtests.report.result_store import ROOT, keep_newest, mark_of
from loadtests.report.svg_charts import ChartLine, Figure, lines, milliseconds, per_second, plain, rendered
from loadtests.report.tables import markdown

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
        "What a caller costs",
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
_HEADS: Final = (
    *("come a second", "inside, mean (most)", "let in", "refused", "told to wait, s"),
    *("first audio p50 / p95 ms", "of the first step", "answers with a gap", "faults", "not answered"),
    *("gateway CPU ms, MB each", "cores", "client late, ms", "stolen"),
)


def curve_table(curve: LoadCurve) -> str:
    """Heading, a row for each step, and the two verdicts: Markdown."""
    said = [f"* {verdict_word(one.kept)}: {one.says}. Found: {one.found}." for one in curve.verdicts]
    how = f"`{curve.command}`, {curve.scenario}, {curve.seconds:g} s a step"
    about = f"{curve.machine}; {how}, commit {curve.commit}"
    return "\n".join(
        [f"### {curve.when}", "", about, "", markdown(_HEADS, map(_row, curve.steps)), *said, ""]
    )


def verdict_word(kept: bool | None) -> str:
    """Of a statement."""
    return "not judged" if kept is None else "kept" if kept else "NOT KEPT"


def keep(curve: LoadCurve, docs: Path = DOCS) -> None:
    """The table on top of the others, and the picture. Raises ValueError where there is no place for it."""
    keep_newest(curve_table(curve), MARK, docs / "measurements.md")
    (docs / "load-curve.svg").write_text(picture(curve), "utf-8")


def _row(step: CurveStep) -> list[str]:
    waits = "-" if step.retry_after_s is None else "{:g} to {:g}".format(*step.retry_after_s)
    codes = ", ".join(f"{code} {number}" for code, number in step.codes.items())
    return [
        f"{step.per_s:g}",
        f"{step.people_mean:g} ({step.people_most})",
        str(step.admitted),
        f"{step.refused} ({codes})" if codes else str(step.refused),
        waits,
        f"{_number(step.ttfa_p50_ms)} / {_number(step.ttfa_p95_ms)}",
        f"{_number(step.ratio_p50, 2)} / {_number(step.ratio_p95, 2)}",
        f"{step.answers_with_gaps} of {step.answers}",
        str(step.wrong),
        str(step.not_answered),
        f"{_number(step.gateway_cpu_ms_each)}, {_number(step.gateway_mb_each, 2)}",
        _number(step.cores, 2),
        f"{step.client_late_p99_ms:.0f}{' (late)' if step.client_late else ''}",
        f"{step.stolen:.0%}",
    ]


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
