"""A PostgreSQL server of the tests' own, reached through a socket in a folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_DEADLINE_S = 60.0


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a server that is empty, and gone afterwards. Skips the test where none is installed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="rhapsode-pg-"))
    someone = _not_root(folder)
    try:
        _run([programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N"], someone)
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder)]
        with subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **someone,
        ) as server:
            try:
                _wait(programs, folder)
                yield f"postgresql://postgres@/postgres?host={folder}"
            finally:
                server.terminate()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    elsewhere = shutil.which("initdb")
    if not found and elsewhere is None:
        pytest.skip("no PostgreSQL server is installed")
    return found[-1].parent if found else Path(str(elsewhere)).resolve().parent


def _not_root(folder: Path) -> dict[str, Any]:
    """User of the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    person = pwd.getpwnam("postgres")
    os.chown(folder, person.pw_uid, person.pw_gid)
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def _run(command: list[Any], someone: dict[str, Any]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/", **someone)


def _wait(programs: Path, folder: Path) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode:
        assert time.monotonic() < deadline, "PostgreSQL did not start."
        time.sleep(0.05)
