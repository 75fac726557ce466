"""`rhapsode logs`: what the processes of `up` have written, kept for the last few runs under HOME/logs.

Ray writes into its own folder while it runs; HOME/logs/latest leads there. When the run is over its files
are moved to HOME/logs/DATE, and HOME/logs/latest leads to them.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Final

from cluster.terminal.cli_errors import CliError, UsageError

KEPT: Final = 5
"""Runs whose files are kept; the oldest are removed first."""
LATEST: Final = "latest"
_TAIL_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 512
_POLL_S: Final = 0.5
_WRITER: Final = re.compile(rb":(?:actor|task)_name:(\S+)")
_RAYS_OWN: Final = (":job_id:", ":actor_name:", ":task_name:")
"""Ray marks with such lines whose output follows."""
_RAY: Final = ("raylet", "gcs_server", "runtime_env_agent", "dashboard_agent")
_EXCEPTION: Final = re.compile(r"(?:[ |]*\| )?([A-Za-z_][\w.]*): (.+)")
"""With the margin that one has within a group."""
_WRAPPERS: Final = ("Traceback (most recent call last)", "ASGI lifespan startup failed")
_CAUSE_CHARS: Final = 600
_NOISY: Final = frozenset({"ray", "log", "serve"})
"""Parts that are shown only where they are asked for."""


@dataclass(frozen=True, slots=True)
class ProcessLog:
    """One file, and who writes it."""

    part: str
    """In small letters: gateway, languagemodel, workers, serve, ray, log, up ..."""
    writer: str
    """For people: the part with its process or replica."""
    file: Path


def folder(home: Path) -> Path:
    """Folder of the files of the running system, or of the last one."""
    return home / "logs" / LATEST


def begin(home: Path, ray_folder: Path) -> None:
    """Lets HOME/logs/latest lead to what the run that begins now will write."""
    (home / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    _lead_to(home, ray_folder / "session_latest" / "logs")


def keep(home: Path, ray_folder: Path) -> None:
    """Moves what a run that is over has written to HOME/logs, and removes what is older than KEPT runs."""
    kept = home / "logs"
    parent = ray_folder.parent  # in the temporary folder, where another user may have been first
    ours = parent.is_dir() and parent.stat().st_uid == os.getuid()
    # session_latest only leads to one of them
    for session in sorted(ray_folder.glob("session_2*")) if ours else ():
        if (session / "logs").is_dir():
            with suppress(OSError):  # a full disk must not keep anything from stopping
                kept.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.move(session / "logs", kept / session.name.removeprefix("session_"))
    runs = sorted(path for path in kept.glob("2*") if path.is_dir())
    for old in runs[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    if runs:
        _lead_to(home, Path(runs[-1].name))


def _lead_to(home: Path, target: Path) -> None:
    latest = folder(home)
    with suppress(OSError):
        latest.unlink(missing_ok=True)
        latest.symlink_to(target)


def written(home: Path, part: str | None = None) -> list[ProcessLog]:
    """The files of `part`, else of all parts but the noisy ones. Raises CliError for a part that is none."""
    found = list(_all(home))
    if part is None:
        return [one for one in found if one.part not in _NOISY]
    wanted = re.sub(r"[^a-z]", "", part.lower())
    known = sorted({one.part for one in found})
    if found and wanted not in known:
        raise UsageError(f"There is no log of {part!r}.", f"There are {', '.join(known)}.")
    return [one for one in found if one.part == wanted]


def _all(home: Path) -> Iterator[ProcessLog]:
    yield from _if_there("up", home / "up.log")
    yield from _if_there("log", home / "log" / "server.log")
    place = folder(home)
    for file in sorted([*place.glob("worker-*.err"), *place.glob("worker-*.out")]):
        if (writer := _WRITER.search(_head(file))) is not None:
            name = writer[1].decode(errors="replace").rpartition(":")[2]
            number = file.stem.rpartition("-")[2]
            deployment = b"ServeReplica:" in writer[1]
            yield ProcessLog(name.lower() if deployment else "serve", f"{name} {number}", file)
    for file in sorted((place / "serve").glob("*.log")):
        kind, _, rest = file.stem.partition("_")
        if kind == "replica":  # replica_APPLICATION_DEPLOYMENT_REPLICA
            name, _, replica = rest.partition("_")[2].rpartition("_")
            yield ProcessLog(name.lower(), f"{name} {replica}", file)
        else:
            yield ProcessLog("serve", file.stem, file)
    for name in _RAY:
        for file in sorted(place.glob(f"{name}.*")):
            yield ProcessLog("ray", file.name, file)


def _if_there(part: str, file: Path) -> Iterator[ProcessLog]:
    if file.is_file():
        yield ProcessLog(part, part, file)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_HEAD_BYTES)
    except OSError:
        return b""


def show(home: Path, part: str | None, lines: int, say: Callable[[str], None], *, follow: bool) -> None:
    """Says the last `lines` lines of each file, and with `follow` what is added, until KeyboardInterrupt."""
    read: dict[Path, int] = {}
    beginning = True
    while True:
        found = written(home, part)
        if not found and not follow:
            raise CliError(f"Nothing was written under {folder(home)}.", "Start it with: rhapsode up")
        for one in found:
            with suppress(OSError):  # a file may go while it is looked at
                before = read[one.file] if one.file in read else beginning and _before_last(one.file, lines)
                read[one.file] = _say_added(one, int(before), say, whole=not follow)
        if not follow:
            return
        beginning = False
        sleep(_POLL_S)


def _before_last(file: Path, lines: int) -> int:
    """Returns the offset of the last `lines` lines within the part that is read."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(max(0, size - _TAIL_BYTES))
        tail = opened.read()
    wanted = b"".join(tail.splitlines(keepends=True)[-lines:]) if lines else b""
    return size - len(wanted)


def _say_added(one: ProcessLog, before: int, say: Callable[[str], None], *, whole: bool) -> int:
    """Says the lines after `before`, unfinished ones only with `whole`; where to go on."""
    if one.file.stat().st_size < before:
        before = 0  # it was begun anew
    with one.file.open("rb") as opened:
        opened.seek(before)
        added = opened.read()
    if not whole:
        added = added[: added.rfind(b"\n") + 1]
    for line in added.decode(errors="replace").splitlines():
        if line and not line.startswith(_RAYS_OWN):
            say(f"{one.writer} | {line}")
    return before + len(added)


def cause(text: str) -> str:
    """The last exception of a traceback with its message: what Serve tells is a traceback in a traceback."""
    lines = text.splitlines()
    for number in range(len(lines) - 1, -1, -1):
        if (found := _EXCEPTION.match(lines[number])) and not any(one in lines[number] for one in _WRAPPERS):
            added = (line.strip(" |") for line in lines[number + 1 : number + 4])
            rest = " ".join(line for line in added if line.strip("+-"))
            return f"{found[1].rpartition('.')[2]}: {found[2]} {rest}".strip()[:_CAUSE_CHARS]
    return ""


def cause_in_log(place: Path, deployment: str) -> str:
    """The same from what Serve wrote for the deployment's last replica; empty: nothing telling."""
    files = sorted(
        (place / "serve").glob(f"replica_*_{deployment}_*.log"), key=lambda one: one.stat().st_mtime
    )
    for file in reversed(files):
        with suppress(OSError):
            if found := cause(file.read_text(encoding="utf-8", errors="replace")):
                return found
    return ""
