"""Files and folders that other users of the machine cannot read, whatever the umask is."""

import os
from contextlib import suppress
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
    with suppress(PermissionError):  # somebody else's, who has let us in
        file.chmod(FILE)


def opener(path: str, flags: int) -> int:
    """For `open`: what is made is private."""
    return os.open(path, flags, FILE)
