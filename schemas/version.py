"""Version of this program: of the checkout that runs, or else of the installed package."""

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_UNKNOWN: Final = "0+unknown"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHORT: Final = 8


def _version(root: Path) -> str:
    """A checkout's pyproject.toml is newer than the metadata that an editable install once wrote."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8")).get("project", {})
        if project.get("name") == "rhapsode":
            return str(project["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return metadata.version("rhapsode")
    except metadata.PackageNotFoundError:  # an engine's environment that is given our code and nothing else
        return _UNKNOWN


def _commit(root: Path) -> str:
    """The commit that is checked out, read from git's own files; empty where there is no checkout."""
    try:
        place = root / ".git"
        if place.is_file():  # a worktree
            place = root / place.read_text("utf-8").partition(":")[2].strip()
        head = (place / "HEAD").read_text("utf-8").strip()
        if head.startswith("ref: "):
            head = _resolved(place, head.removeprefix("ref: "))
    except OSError:
        return ""
    return head if _COMMIT.fullmatch(head) else ""


def _resolved(place: Path, ref: str) -> str:
    shared = place / "commondir"
    common = place / shared.read_text("utf-8").strip() if shared.is_file() else place
    if (common / ref).is_file():
        return (common / ref).read_text("utf-8").strip()
    lines = (common / "packed-refs").read_text("utf-8").splitlines()
    return next((line.split()[0] for line in lines if line.endswith(f" {ref}")), "")


VERSION: Final = _version(_ROOT)
"""As in pyproject.toml."""
BUILD: Final = f"{VERSION}+g{commit[:_SHORT]}" if (commit := _commit(_ROOT)) else VERSION
"""The same, in a checkout with the commit: `0.1.0+g82d1a86c`."""
