"""The curve as one page, and as one picture by itself. Pure."""

from html import escape
from typing import Final

from loadtests.load.curve.judging import knee
from loadtests.load.curve.result import Curve, Step
from loadtests.load.pieces import figure, table
from loadtests.load.plots import Line, lines, milliseconds, per_second, plain
from loadtests.load.style import COLOURS, DRAWING, STYLE

_WORDS: Final = {
    "First audio of those who were let in": "from when the question was due (of the first, the person), "
    "by people who come a second",
    "People": "each second, by people who come a second",
    "Inside at once": "by people who come a second",
    "What a person costs": "processor time of the gateways in ms, what they take when idle included, "
    "for each who was let in",
}
_WIDE, _HIGH, _GAP = 360, 190, 20


def page(curve: Curve) -> str:
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


def picture(curve: Curve) -> str:
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


def _charts(curve: Curve) -> dict[str, str]:
    at = [step.per_s for step in curve.steps]
    last = knee(curve.steps, curve.late)
    marked = [(at[last], f"{curve.late:g}x")] if 0 <= last < len(at) else []
    series = {
        "First audio of those who were let in": (
            [
                Line("p50", "one", [step.ttfa_p50_ms for step in curve.steps]),
                Line("p95", "two", [step.ttfa_p95_ms for step in curve.steps]),
            ],
            milliseconds,
        ),
        "People": (
            [
                Line("let in", "one", [_share(step, step.admitted) for step in curve.steps]),
                Line("refused", "warn", [_share(step, step.refused) for step in curve.steps]),
                Line("not answered", "bad", [_share(step, step.not_answered) for step in curve.steps]),
            ],
            plain,
        ),
        "Inside at once": (
            [
                Line("mean", "one", [step.people_mean for step in curve.steps]),
                Line("most", "two", [float(step.people_most) for step in curve.steps]),
            ],
            plain,
        ),
        "What a person costs": (
            [Line("gateways", "one", [step.gateway_cpu_ms_each for step in curve.steps])],
            milliseconds,
        ),
    }
    return {
        title: lines(title, at, drawn, shown, along=per_second, marked=marked)
        for title, (drawn, shown) in series.items()
    }


def _share(step: Step, people: int) -> float:
    """Of the people who came, as a rate."""
    return step.per_s * people / step.came


def _steps(curve: Curve) -> str:
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
