"""A run as JSON, whole or as one line of the history; and what the history says of a row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.noise import PastRatio
from loadtests.report.result_store import MEASUREMENTS, ROOT, keep_newest, mark_of
from loadtests.report.run_info import about, shape
from loadtests.report.tables import percentile

VERSION: Final = 1
DOCS: Final = ROOT / "docs"
TABLES: Final = MEASUREMENTS
HISTORY: Final = DOCS / "bench-history.jsonl"
MARK: Final = mark_of("make bench")
Run = dict[str, Any]


class BadHistory(ValueError):
    """A file is no history and no result of a run."""


def as_run(rows: Sequence[MeasuredRow], *, quick: bool) -> Run:
    """Every figure. `rounds` are what `line` leaves out."""
    return {
        "version": VERSION,
        **about(),
        "shape": shape(),
        "quick": quick,
        "rows": {row.key: _as_row(row) for row in rows},
    }


def _as_row(measured: MeasuredRow) -> Run:
    row = measured.row
    return {
        "what": row.name,
        "unit": row.unit,
        "ours": _ends(row.ours),
        "floor": _ends(row.floor) | {"what": row.floor_name},
        "ratio": _rounded(measured.ratio),
        "share": measured.share,
        "spread": _rounded(measured.spread),
        "budget": row.budget,
        "kept": row.kept,
        "note": row.note,
        "stolen": _rounded(measured.stolen),
        "paired": measured.paired,
        "rounds": {
            "ours": [[_rounded(value) for value in one] for one in measured.ours],
            "floor": [[_rounded(value) for value in one] for one in measured.floor],
        },
    }


def _ends(series: Sequence[float]) -> Run:
    if not series:
        return {"n": 0}
    ends = {"p50": percentile(series, 0.5), "p95": percentile(series, 0.95)}
    return {name: _rounded(value) for name, value in ends.items()} | {"n": len(series)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def line(run: Mapping[str, Any]) -> str:
    """One line of the history: everything but the rounds, whose spread is there."""
    rows = {
        key: {name: value for name, value in row.items() if name != "rounds"}
        for key, row in run["rows"].items()
    }
    return json.dumps({**run, "rows": rows}, separators=(",", ":")) + "\n"


def keep(run: Mapping[str, Any], report: str, tables: Path = TABLES, history: Path = HISTORY) -> None:
    """The table on top of the others, the line below them."""
    try:
        keep_newest(report, MARK, tables)
    except ValueError as error:
        raise BadHistory(str(error)) from error
    with history.open("a") as lines:
        lines.write(line(run))


def read_history(file: Path = HISTORY) -> list[Run]:
    """The oldest first; none where there is no file. Raises BadHistory."""
    if not file.exists():
        return []
    return [_run(text, f"{file.name}, line {number}") for number, text in _lines(file)]


def read_run(file: Path) -> Run:
    """Read a run that --json wrote, or one line of a history. Raises BadHistory."""
    try:
        return _run(file.read_text(), str(file))
    except OSError as error:
        raise BadHistory(f"{file}: {error.strerror}") from error


def _lines(file: Path) -> Iterable[tuple[int, str]]:
    return ((number, text) for number, text in enumerate(file.read_text().splitlines(), 1) if text.strip())


def _run(text: str, where: str) -> Run:
    try:
        run: Run = json.loads(text)
        if run["version"] != VERSION:
            raise BadHistory(f"{where} is of version {run['version']}, this program knows {VERSION}")
        for row in run["rows"].values():
            row["ratio"], row["spread"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadHistory):
            raise
        raise BadHistory(f"{where} is no result of make bench: {error!r}") from error
    return run


def past(runs: Iterable[Mapping[str, Any]], shape: str | None) -> dict[str, list[PastRatio]]:
    """Of each row, what the runs on machines of this shape found; None: on any."""
    found: dict[str, list[PastRatio]] = {}
    for run in runs:
        if shape in (None, run["shape"]):
            for key, row in run["rows"].items():
                if row["ratio"]:
                    found.setdefault(key, []).append(PastRatio(row["ratio"], row["spread"]))
    return found
