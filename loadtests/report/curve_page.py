"""The curve as one page, and as one picture by itself. Pure."""

from html import escape
from pathlib import Path
from typing import Final

from loadtests.report.result_store import ROOT, place
from loadtests.report.svg_charts import (
    COLOURS,
    DRAWING,
    STYLE,
    ChartLine,
    figure,
    lines,
    milliseconds,
    per_second,
    plain,
    table,
)
from loadtests.runner.curve_verdicts import CurveStep, LoadCurve, knee

_WORDS: Final = {
    "First audio of those who were let in": "from when the question was due (of the first, the person), "
    "by people who come a second",
    "People": "each second, by people who come a second",
    "Inside at once": "by people who come a second",
    "What a person costs": "processor time of the gateways in ms, what they take when idle included, "
    "for each who was let in",
}
_WIDE, _HIGH, _GAP = 360, 190, 20


def page(curve: LoadCurve) -> str:
    """HTML."""
    drawn = "".join(figure(title, _WORDS[title], chart) for title, chart in _charts(curve).items())
    title = f"Quality under load: {curve.scenario}"
    where = "a system of its own, scripted engines" if curve.own_system else "a system that runs"
    said = "".join(
        f'<p><span class="verdict {"good" if one.kept else "bad"}">{_word(one.kept)}</span> '
        f'{escape(one.says)}.<br><span class="soft">{escape(one.found)}</span></p>'
        for one in curve.verdicts
    )
    stopped = '<p class="warn">Stopped before its end: some steps are missing.</p>' if curve.stopped else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><main><h1>{escape(title)}</h1>"
        f'<p class="soft">{where} · {escape(curve.when)} · commit {escape(curve.commit)}<br>'
        f"client on {escape(curve.machine)}</p><p><code>{escape(curve.command)}</code></p>{stopped}{said}"
        f'<h2>The curve</h2><div class="charts">{drawn}</div>{_steps(curve)}</main></html>\n'
    )


def picture(curve: LoadCurve) -> str:
    """SVG, with its colours in it."""
    parts = []
    for number, (title, chart) in enumerate(_charts(curve).items()):
        x, y = number % 2 * (_WIDE + _GAP) + _GAP, number // 2 * (_HIGH + 3 * _GAP) + 2 * _GAP
        inner = chart.replace("<svg ", f'<svg x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" ', 1)
        parts.append(f'<text class="title" x="{x + 4}" y="{y - 8}">{escape(title)}</text>{inner}')
    wide, high = 2 * _WIDE + 3 * _GAP, 2 * (_HIGH + 3 * _GAP)
    style = f"{COLOURS}{DRAWING}text {{ font-family: system-ui, sans-serif; }} .title {{ fill: var(--ink); }}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" '
        f'aria-label="Quality under load"><style>{style} svg text.title {{ font-size: 13px; }}</style>'
        f'<rect width="{wide}" height="{high}" style="fill: var(--card)"/>{"".join(parts)}</svg>\n'
    )


def _charts(curve: LoadCurve) -> dict[str, str]:
    at = [step.per_s for step in curve.steps]
    last = knee(curve.steps, curve.late)
    marked = [(at[last], f"{curve.late:g}x")] if 0 <= last < len(at) else []
    series = {
        "First audio of those who were let in": (
            [
                ChartLine("p50", "one", [step.ttfa_p50_ms for step in curve.steps]),
                ChartLine("p95", "two", [step.ttfa_p95_ms for step in curve.steps]),
            ],
            milliseconds,
        ),
        "People": (
            [
                ChartLine("let in", "one", [_share(step, step.admitted) for step in curve.steps]),
                ChartLine("refused", "warn", [_share(step, step.refused) for step in curve.steps]),
                ChartLine("not answered", "bad", [_share(step, step.not_answered) for step in curve.steps]),
            ],
            plain,
        ),
        "Inside at once": (
            [
                ChartLine("mean", "one", [step.people_mean for step in curve.steps]),
                ChartLine("most", "two", [float(step.people_most) for step in curve.steps]),
            ],
            plain,
        ),
        "What a person costs": (
            [ChartLine("gateways", "one", [step.gateway_cpu_ms_each for step in curve.steps])],
            milliseconds,
        ),
    }
    return {
        title: lines(title, at, drawn, shown, along=per_second, marked=marked)
        for title, (drawn, shown) in series.items()
    }


def _share(step: CurveStep, people: int) -> float:
    """Of the people who came, as a rate."""
    return step.per_s * people / step.came


def _steps(curve: LoadCurve) -> str:
    heads = ["come a second", "inside", "let in", "refused", "first audio p50", "p95", "of the first step"]
    heads += ["gaps", "faults", "not answered", "client late", "stolen"]
    rows = [
        [
            *(f"{step.per_s:g}", f"{step.people_mean:g} ({step.people_most})", str(step.admitted)),
            f"{step.refused} {escape(', '.join(step.codes))}",
            *("–" if ms is None else milliseconds(ms) for ms in (step.ttfa_p50_ms, step.ttfa_p95_ms)),
            "–" if step.ratio_p95 is None else f"{step.ratio_p95:g}x",
            f"{step.answers_with_gaps} of {step.answers}",
            *(str(step.wrong), str(step.not_answered)),
            f'<span class="{"warn" if step.client_late else ""}">{step.client_late_p99_ms:.0f} ms</span>',
            f"{step.stolen:.0%}",
        ]
        for step in curve.steps
    ]
    return table(heads, rows, numbers=set(range(len(heads))))


def _word(kept: bool | None) -> str:
    return "not judged" if kept is None else "kept" if kept else "not kept"


DOCS: Final = ROOT / "docs"
MARK: Final = "<!-- newest first: `make load-curve` writes below this line -->\n"
_HEADS: Final = (
    *(
        "come a second",
        "inside, mean (most)",
        "let in",
        "refused",
        "told to wait, s",
        "first audio p50 / p95 ms",
    ),
    *(
        "of the first step",
        "answers with a gap",
        "faults",
        "not answered",
        "gateway CPU ms, MB each",
        "cores",
    ),
    *("client late, ms", "stolen"),
)


def curve_table(curve: LoadCurve) -> str:
    """Heading, a row for each step, and the two verdicts: Markdown."""
    rows = [list(_HEADS), ["---"] * len(_HEADS), *map(_row, curve.steps)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    said = [f"* {verdict_word(one.kept)}: {one.says}. Found: {one.found}." for one in curve.verdicts]
    how = f"`{curve.command}`, {curve.scenario}, {curve.seconds:g} s a step"
    about = f"{curve.machine}; {how}, commit {curve.commit}"
    return "\n".join([f"### {curve.when}", "", about, "", *lines, "", *said, ""])


def verdict_word(kept: bool | None) -> str:
    """Of a statement."""
    return "not judged" if kept is None else "kept" if kept else "NOT KEPT"


def keep(curve: LoadCurve, docs: Path = DOCS) -> None:
    """The table on top of the others, and the picture. Raises ValueError where there is no place for it."""
    page = docs / "measurements.md"
    before, after = place(page, MARK)
    page.write_text(f"{before}\n{curve_table(curve)}{after}", "utf-8")
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
