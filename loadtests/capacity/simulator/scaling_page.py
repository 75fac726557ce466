"""The tables of docs/scaling.md, each between two marks and kept equal to the costs, and its picture."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import log2
from typing import Any, Final

from loadtests.capacity.simulator import measured_comparison, scaling_tables, small_end
from loadtests.capacity.simulator.machine_profiles import costs
from loadtests.capacity.simulator.measured_comparison import ComparedSize
from loadtests.report.result_store import ROOT
from loadtests.report.svg_charts import ChartLine, Labels, label_x, lines, milliseconds, rendered

DOCS: Final = ROOT / "docs"
PAGE: Final = DOCS / "scaling.md"
PICTURE: Final = DOCS / "pictures" / "first-sound.svg"
_BLOCK: Final = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Sheet = Callable[[Mapping[str, Any]], str]
QUICK: Final[Mapping[str, Sheet]] = {
    "costs": scaling_tables.costs_sheet,
    "demand": scaling_tables.demand_sheet,
    "holds": scaling_tables.holds_sheet,
    "sizes": scaling_tables.sizes_sheet,
    "polling": scaling_tables.polling_sheet,
    "money": scaling_tables.cards_sheet,
}
"""Arithmetic only."""
SLOW: Final[Mapping[str, Sheet]] = {
    "beside": scaling_tables.beside_sheet,
    "simulated-laptop": scaling_tables.laptop_sheet,
    "simulated-cluster": scaling_tables.cluster_sheet,
}
"""Simulated: they take a while."""


def update(*, check: bool, quick: bool = False) -> list[str]:
    """The names of the tables that were not what they should be; without `check` they are then."""
    found = costs()
    sheets_of = QUICK if quick else {**QUICK, **SLOW}
    stale: list[str] = []

    def renewed(match: re.Match[str]) -> str:
        head, name, end = match[1], match[2], match[3]
        if name not in sheets_of:
            return match[0]
        block = f"{head}\n{sheets_of[name](found).rstrip()}\n\n{end}"
        if block != match[0]:
            stale.append(name)
        return block

    text = PAGE.read_text(encoding="utf-8")
    new = _BLOCK.sub(renewed, text)
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    if not quick:
        stale += _picture(found, check=check)
    return stale


def _picture(found: Mapping[str, Any], *, check: bool) -> list[str]:
    rows = small_end.kept().get("scripted", [])
    new = drawn(measured_comparison.pairs(found, rows))
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == new:
        return []
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(new, encoding="utf-8")
    return [PICTURE.name]


_NAME = "Time to first audio by the number of callers: dots are measured, lines simulated"


def drawn(pairs: Sequence[ComparedSize]) -> str:
    """SVG: callers on a scale of doublings; p50 and p95."""
    sizes = [pair.measured.people for pair in pairs]
    at = [log2(size / min(sizes)) for size in sizes]
    series = [
        ChartLine(
            name,
            style,
            [pair.simulated.ttfa[end] for pair in pairs],
            points=[pair.measured.ttfa[end] for pair in pairs],
        )
        for end, (name, style) in enumerate((("p50", "one"), ("p95", "two")))
    ]

    def axis(end: float) -> Labels:
        return [(label_x(x, end), str(size), "middle") for x, size in zip(at, sizes, strict=True)]

    return rendered("alone.svg", chart=lines(_NAME, at, series, milliseconds, along=axis)) + "\n"
