"""Series of measurements to rows of a table. Pure arithmetic."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression


def percentile(series: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the series does not exceed (nearest rank)."""
    ordered = sorted(series)
    rank = max(1, -(-len(ordered) * share // 1))  # ceiling, without floating-point dust from math.ceil
    return ordered[min(int(rank), len(ordered)) - 1]


def slope_per_minute(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Slope of a series' second half, a minute: what is made once and kept is made in the first."""
    half = len(values) // 2
    return linear_regression(at_s[half:], values[half:]).slope * 60 if len(values) - half > 1 else 0.0


def verdict(kept: bool | None) -> str:
    return "-" if kept is None else "kept" if kept else "MISSED"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison: ours and its floor, measured in one run, in the same unit."""

    name: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float]
    floor_name: str
    budget: str = "-"
    kept: bool | None = None
    """None: there was nothing to judge."""
    note: str = ""

    def cells(self) -> list[str]:
        return [
            self.name,
            self._spread(self.ours),
            f"{self._spread(self.floor)} ({self.floor_name})",
            self._ratio(),
            self.budget,
            verdict(self.kept),
            f"{len(self.ours)}" + (f"; {self.note}" if self.note else ""),
        ]

    def _spread(self, series: Sequence[float]) -> str:
        return f"{spread(series, 2)} {self.unit}" if series else "-"

    def _ratio(self) -> str:
        if not self.ours or not self.floor:
            return "-"
        ends = [(percentile(self.ours, share), percentile(self.floor, share)) for share in (0.5, 0.95)]
        return "/".join(f"{mine / base:.2f}" if base else "-" for mine, base in ends)


HEADINGS = ["what", "ours p50 / p95", "floor p50 / p95", "ratio p50/p95", "budget", "verdict", "n"]


def table(rows: Sequence[ComparisonRow]) -> str:
    """The rows as a Markdown table."""
    return markdown(HEADINGS, (row.cells() for row in rows))


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of these cells."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def table_of(rows: Iterable[Mapping[str, str]]) -> str:
    """A table whose headings are the keys of its rows; empty without rows."""
    found = list(rows)
    return markdown(list(found[0]), (list(row.values()) for row in found)) if found else ""


def spread(series: Sequence[float], digits: int = 0) -> str:
    """ "p50 / p95"; a dash where there is nothing."""
    if not series:
        return "-"
    return f"{percentile(series, 0.5):.{digits}f} / {percentile(series, 0.95):.{digits}f}"
