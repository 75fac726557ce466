"""Keeps what arrives at a process, and what it sends, in files that have no names."""

import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_FORGOTTEN_S: Final = 86_400
"""A file that is so old was left by a system that cannot make files without names."""


def spool_under(home: Path) -> None:
    """Temporary files of this process lie under `home` from now on: not in memory, and nobody else's to read.

    They are unlinked from their first moment, so that the system removes them however the process ends. Where
    `home` cannot be written they stay where the system has them.
    """
    folder = home.expanduser() / "spool"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        tempfile.tempdir = str(folder)
        for left in folder.iterdir():
            with suppress(FileNotFoundError):  # another process of this home is faster
                if left.is_file() and left.stat().st_mtime < time.time() - _FORGOTTEN_S:
                    left.unlink()
    except OSError as error:
        log.warning("temporary files cannot lie in %s: %s", folder, error)


def path_of(descriptor: int) -> Path:
    """An open file without a name, for who wants to open it by one."""
    return Path(f"/dev/fd/{descriptor}")
