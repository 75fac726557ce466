"""The tables of docs/scaling.md: each between two marks, made from the costs and kept equal to them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtests.capacity.simulator import measured_comparison, scaling_tables, small_end
from loadtests.capacity.simulator.first_audio_picture import drawn
from loadtests.capacity.simulator.machine_profiles import costs
from loadtests.report.result_store import ROOT

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
