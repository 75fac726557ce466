"""The curve as a table, and where it is kept."""

from pathlib import Path
from typing import Final

from loadtests.load.curve.page import picture
from loadtests.load.curve.result import Curve, Step
from loadtests.load.places import place

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
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


def table(curve: Curve) -> str:
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


def keep(curve: Curve, docs: Path = DOCS) -> None:
    """The table on top of the others, and the picture. Raises ValueError where there is no place for it."""
    page = docs / "measurements.md"
    before, after = place(page, MARK)
    page.write_text(f"{before}\n{table(curve)}{after}", "utf-8")
    (docs / "load-curve.svg").write_text(picture(curve), "utf-8")


def _row(step: Step) -> list[str]:
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
