"""Series of measurements to rows of a table. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(series: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the series does not exceed (nearest rank)."""
    ordered = sorted(series)
    rank = max(1, -(-len(ordered) * share // 1))  # ceiling, without floating-point dust from math.ceil
    return ordered[min(int(rank), len(ordered)) - 1]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: ours and its floor, measured in one run, in the same unit."""

    name: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float]
    floor_name: str
    budget: str
    kept: bool
    note: str = field(default="")

    def cells(self) -> list[str]:
        ours = [percentile(self.ours, share) for share in (0.5, 0.95)]
        floor = [percentile(self.floor, share) for share in (0.5, 0.95)]
        ratio = "/".join(
            f"{mine / base:.2f}" if base else "-" for mine, base in zip(ours, floor, strict=True)
        )
        return [
            self.name,
            f"{ours[0]:.2f} / {ours[1]:.2f} {self.unit}",
            f"{floor[0]:.2f} / {floor[1]:.2f} {self.unit} ({self.floor_name})",
            ratio,
            self.budget,
            "kept" if self.kept else "MISSED",
            f"{len(self.ours)}" + (f"; {self.note}" if self.note else ""),
        ]


HEADINGS = ["what", "ours p50 / p95", "floor p50 / p95", "ratio p50/p95", "budget", "verdict", "n"]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
