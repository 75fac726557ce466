"""The result store: folders and documents of results, tried before a run, and tables kept newest first."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

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
