"""Which recordings a command line means, and what is said in each, where that is written down beside it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.terminal.cli_errors import UsageError

_SOUND: Final = (
    *(".wav", ".mp3", ".ogg", ".opus", ".oga", ".flac", ".m4a", ".mp4", ".aac", ".webm"),
    *(".mka", ".mkv", ".aiff", ".aif", ".au", ".wma", ".amr"),
)
_LINE: Final = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\((\S+)\)\s*")
_LISTS: Final = ("transcription", "*.transcription")


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """A file, and what is said in it; empty: nobody knows."""

    path: Path
    reference: str = ""


def recordings(paths: Sequence[Path], reference: str = "") -> list[RecordingFile]:
    """Files as they are, folders by what is in them. Raises CliError.

    References come from `reference`, for a single recording; from a .txt file beside it; or from a
    LibriVox-style list in its folder, named "transcription", of lines as "<s> what is said </s> (file name)".
    """
    files = [file for path in paths for file in _files(path)]
    if reference and len(files) != 1:
        advice = "Give one recording, or put a .txt file beside each one."
        raise UsageError(f"One reference cannot be that of {len(files)} recordings.", advice)
    lists: dict[Path, Mapping[str, str]] = {}
    found = []
    for file in files:
        if file.parent not in lists:
            lists[file.parent] = _listed(file.parent)
        found.append(RecordingFile(file, reference or _beside(file) or lists[file.parent].get(file.stem, "")))
    return found


def text_of(file: Path) -> str:
    """A reference. Raises CliError."""
    try:
        return " ".join(file.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text: {error}.") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        advice = "Give a recording (.wav, .mp3, .ogg, .flac, ...) or a folder of them."
        raise UsageError(f"There is no {path}.", advice)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SOUND)
    if not files:
        raise UsageError(f"There are no recordings in {path}.", "Give the files by name.")
    return files


def _beside(file: Path) -> str:
    text = file.with_suffix(".txt")
    return text_of(text) if text.is_file() else ""


def _listed(folder: Path) -> Mapping[str, str]:
    listed: dict[str, str] = {}
    for pattern in _LISTS:
        for file in sorted(folder.glob(pattern)):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            listed |= {match[2]: match[1] for line in lines if (match := _LINE.fullmatch(line))}
    return listed
