"""Costs of a system that nobody uses: processor time, memory and calls of the log, by part."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
import redis

from loadtests.report.tables import markdown
from loadtests.servers.rhapsode_process import rhapsode
from loadtests.servers.system_processes import ProcessSample, SystemMeter, members

_SETTLE_S: Final = 30.0
_REST_S: Final = 60.0


def measure(folder: Path, cache: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Start the default profile with its own models, leave it alone, and look at it for a minute."""
    home = folder / "rest"
    with rhapsode(home, cache=cache):
        say("a system at rest")
        time.sleep(_SETTLE_S)
        return {"parts": parts(home), "log_calls_s": log_calls(home)}


def parts(home: Path) -> dict[str, dict[str, float]]:
    """By part: how many processes, percent of a core, resident and unique megabytes."""
    before = {one.life: one.cpu_s for one in members(home)}
    begun = time.monotonic()
    time.sleep(_REST_S)
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    seconds = time.monotonic() - begun
    for one in members(home):
        part = found[one.part]
        part["processes"] += 1
        part["cpu_percent"] += 100 * (one.cpu_s - before.get(one.life, 0.0)) / seconds
        part["resident_mb"] += one.mb
        part["unique_mb"] += _unique_mb(one)
    return {part: {name: round(value, 2) for name, value in row.items()} for part, row in found.items()}


def _unique_mb(sample: ProcessSample) -> float:
    """Memory that would be free if the process ended."""
    try:
        return float(psutil.Process(int(sample.process.partition(" ")[0])).memory_full_info().uss / 2**20)
    except psutil.Error:
        return 0.0


def log_calls(home: Path) -> dict[str, float]:
    """Calls of the log by clients, each second, by command or function; not what a function calls itself."""
    meter, seen = SystemMeter(home), Counter[str]()

    def watch() -> None:
        # The log server stops with its system, while this still listens.
        with suppress(redis.ConnectionError), meter.log.monitor() as monitor:  # type: ignore[no-untyped-call]
            for command in monitor.listen():
                if command["client_type"] != "lua":
                    words = str(command["command"]).split(maxsplit=2)
                    seen[words[1] if words[0].upper().startswith("FCALL") else words[0].lower()] += 1

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    time.sleep(_REST_S)
    return {name: round(calls / _REST_S, 2) for name, calls in seen.most_common()}


def table(rest: Mapping[str, Any]) -> str:
    """Both tables, with sums."""
    names = ("processes", "cpu_percent", "resident_mb", "unique_mb")
    by_cost = sorted(rest["parts"].items(), key=lambda row: -row[1]["resident_mb"])
    whole = {name: sum(row[name] for _, row in by_cost) for name in names}
    rows = [
        [part, f"{row['processes']:.0f}", *(f"{row[name]:.2f}" for name in names[1:2])]
        + [f"{row[name]:.0f}" for name in names[2:]]
        for part, row in [*by_cost, ("all", whole)]
    ]
    head = ["a system at rest", "processes", "percent of a core", "MB resident", "MB unique"]
    calls = ", ".join(f"{name} {many:g}" for name, many in rest["log_calls_s"].items())
    total = sum(rest["log_calls_s"].values())
    return f"{markdown(head, rows)}\nCalls of the log, a second: {total:.1f} ({calls}).\n"
