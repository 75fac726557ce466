"""The tables of docs/scaling.md: each between two marks, made from the costs and kept equal to them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from loadtests.simulator import beside, sheets, small
from loadtests.simulator.picture import drawn
from loadtests.simulator.profiles import costs

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE: Final = DOCS / "scaling.md"
PICTURE: Final = DOCS / "pictures" / "first-sound.svg"
_BLOCK: Final = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Sheet = Callable[[Mapping[str, Any]], str]
QUICK: Final[Mapping[str, Sheet]] = {
    "costs": sheets.costs_sheet,
    "demand": sheets.demand_sheet,
    "holds": sheets.holds_sheet,
    "sizes": sheets.sizes_sheet,
    "polling": sheets.polling_sheet,
    "money": sheets.cards_sheet,
}
"""Arithmetic only."""
SLOW: Final[Mapping[str, Sheet]] = {
    "beside": sheets.beside_sheet,
    "simulated-laptop": sheets.laptop_sheet,
    "simulated-cluster": sheets.cluster_sheet,
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
    rows = small.kept().get("scripted", [])
    new = drawn(beside.pairs(found, rows))
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == new:
        return []
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(new, encoding="utf-8")
    return [PICTURE.name]
