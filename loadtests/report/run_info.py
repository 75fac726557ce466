"""Machine, time and commit of a measurement, and its lines of progress."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

_BRIEF_S: Final = 1.0


def when() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def shape() -> str:
    """Shape of this machine: figures of machines of the same shape are comparable."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return f"{os.cpu_count()} cores ({cpu}), {int(memory) / 2**20:.0f} GiB"


def machine() -> str:
    return f"{shape()}, no GPU used, Python {platform.python_version()}"


def about() -> dict[str, Any]:
    """Keys that every kept result has."""
    return {"when": when(), "machine": machine(), "commit": commit()}


def heading(command: str, more: str = "", *, where: str = "") -> str:
    """When, `where` (else on this machine) and by which command: the lines above a report's tables."""
    return f"### {when()}\n\n{where or machine()}; `{command}`, commit {commit()}{more}\n\n"


def stolen(before: Any, after: Any) -> float:
    """Of all the time between two readings of psutil's `cpu_times`; macOS does not tell."""
    passed = sum(after) - sum(before)
    taken = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return taken / passed if passed else 0.0


def thefts() -> Iterator[float]:
    """For ever: which part of the processors other machines had since the last time that was asked.

    Asked again within a moment, it is as before.
    """
    before, share = psutil.cpu_times(), 0.0
    while True:
        yield share
        now = psutil.cpu_times()
        if sum(now) - sum(before) > _BRIEF_S:
            before, share = now, stolen(before, now)


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def say(what: str) -> None:
    """How far it is; not among the results, which are on standard output."""
    print(f"... {what}", file=sys.stderr, flush=True)


def as_typed(target: str) -> str:
    """This command line without the key, as reports are read; as `make` takes it where `target` is its."""
    words = sys.argv[1:]
    hidden = ["***" if before == "--key" else word for before, word in zip(["", *words], words, strict=False)]
    told = shlex.join("--key=***" if word.startswith("--key=") else word for word in hidden)
    if not target.startswith("make "):
        return f"{target} {told}" if words else target
    quoted = told.replace('"', '\\"')
    return f'{target} ARGS="{quoted}"' if words else target


def first(error: Exception) -> Exception:
    """Of a group, what began it."""
    return first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
