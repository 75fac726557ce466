"""Where a process keeps what arrives and what it sends while it does: in files that have no names."""

import tempfile
import time
from pathlib import Path
from typing import Final

_FORGOTTEN_S: Final = 86_400
"""A file that is so old was left by a system that cannot make files without names."""


def spool_under(home: Path) -> None:
    """Temporary files of this process lie under `home` from now on: not in memory, and nobody else's to read.

    They are unlinked from their first moment, so that the system removes them however the process ends.
    """
    folder = home.expanduser() / "spool"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        if left.is_file() and left.stat().st_mtime < time.time() - _FORGOTTEN_S:
            left.unlink(missing_ok=True)
    tempfile.tempdir = str(folder)


def path_of(descriptor: int) -> Path:
    """An open file without a name, for who wants to open it by one."""
    return Path(f"/dev/fd/{descriptor}")
