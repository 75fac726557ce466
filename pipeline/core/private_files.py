"""Files and folders that other users of the machine cannot read, whatever the umask is."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FOLDER: Final = 0o700
FILE: Final = 0o600


def make_folder(folder: Path) -> None:
    """Make the folder and all above it that are missing. One that is there stays as it is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=FOLDER, exist_ok=True)


def make_file(file: Path) -> None:
    """Make an empty file, or take an existing one of ours away from others. Raises OSError."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, FILE))
    with suppress(PermissionError):  # another user's, who has let us in
        file.chmod(FILE)


def opener(path: str, flags: int) -> int:
    """For `open`: what is made is private."""
    return os.open(path, flags, FILE)


def write_file(file: Path, text: str) -> None:
    """Readers see the old content or the new one, never half of it, also after a power cut."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(fresh, "w", encoding="utf-8", opener=opener) as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


@contextmanager
def locked(file: Path, mode: int = FILE) -> Iterator[None]:
    """Held by one process at a time; the system releases it where its holder dies."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
