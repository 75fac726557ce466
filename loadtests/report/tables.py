"""Tables of measurements: their rows, when and on which machine they were made, and where they are kept."""

import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import linear_regression
from typing import Any, Final

import psutil

_BRIEF_S: Final = 1.0


def when() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def shape() -> str:
    """Shape of this machine: figures of machines of the same shape are comparable."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return f"{os.cpu_count()} cores ({cpu}), {int(memory) / 2**20:.0f} GiB"


def machine() -> str:
    return f"{shape()}, no GPU used, Python {platform.python_version()}"


def about() -> dict[str, Any]:
    """Keys that every kept result has."""
    return {"when": when(), "machine": machine(), "commit": commit()}


def heading(command: str, more: str = "", *, where: str = "") -> str:
    """When, `where` (else on this machine) and by which command: the lines above a report's tables."""
    return f"### {when()}\n\n{where or machine()}; `{command}`, commit {commit()}{more}\n\n"


def stolen(before: Any, after: Any) -> float:
    """Of all the time between two readings of psutil's `cpu_times`; macOS does not tell."""
    passed = sum(after) - sum(before)
    taken = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return taken / passed if passed else 0.0


def thefts() -> Iterator[float]:
    """For ever: which part of the processors other machines had since the last time that was asked.

    Asked again within a moment, it is as before.
    """
    before, share = psutil.cpu_times(), 0.0
    while True:
        yield share
        now = psutil.cpu_times()
        if sum(now) - sum(before) > _BRIEF_S:
            before, share = now, stolen(before, now)


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def say(what: str) -> None:
    """How far it is; not among the results, which are on standard output."""
    print(f"... {what}", file=sys.stderr, flush=True)


def as_typed(target: str) -> str:
    """This command line without the key, as reports are read; as `make` takes it where `target` is its."""
    words = sys.argv[1:]
    hidden = ["***" if before == "--key" else word for before, word in zip(["", *words], words, strict=False)]
    told = shlex.join("--key=***" if word.startswith("--key=") else word for word in hidden)
    if not target.startswith("make "):
        return f"{target} {told}" if words else target
    quoted = told.replace('"', '\\"')
    return f'{target} ARGS="{quoted}"' if words else target


def first(error: Exception) -> Exception:
    """Of a group, what began it."""
    return first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


ROOT: Final = Path(__file__).resolve().parents[2]
MEASUREMENTS: Final = ROOT / "docs" / "measurements.md"


def mark_of(command: str) -> str:
    """The line of a document below which this command keeps its tables."""
    return f"<!-- newest first: `{command}` writes below this line -->\n"


def publish(report: str, command: str, *, keep: bool, figures: Any = None, file: Path | None = None) -> None:
    """Print a report, write its `figures` into `file` as JSON, and with `keep` put it into measurements.md.

    Raises ValueError where there is no place for it.
    """
    print(report)
    if file:
        file.write_text(json.dumps(figures, indent=1, default=str))
    if keep:
        keep_newest(report, mark_of(command))


def keep_newest(report: str, mark: str, document: Path = MEASUREMENTS) -> None:
    """Raises ValueError where there is no place for it."""
    before, after = place(document, mark)
    document.write_text(f"{before}\n{report.rstrip()}\n{after}", "utf-8")


def folder(wished: Path | None, otherwise: str) -> Path:
    """A folder that can be written into; a new one, named after `otherwise`, where none is wished.

    Raises ValueError.
    """
    if wished is None:
        return Path(tempfile.mkdtemp(prefix=otherwise))
    try:
        wished.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{wished} cannot be made a folder: {error.strerror}") from error
    if not os.access(wished, os.W_OK | os.X_OK):
        raise ValueError(f"{wished}: nothing may be written there")
    return wished


def place(document: Path, mark: str) -> tuple[str, str]:
    """Split a document after its mark. Raises ValueError where nothing can be kept there."""
    try:
        before, found, after = document.read_text("utf-8").partition(mark)
    except OSError as error:
        raise ValueError(f"{document}: {error.strerror}") from error
    if not found:
        raise ValueError(f"{document.name} has no line {mark.strip()!r}")
    if not os.access(document, os.W_OK):
        raise ValueError(f"{document}: nothing may be written there")
    return before + found, after


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
