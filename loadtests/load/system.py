"""The system under load as its operator sees it: GET /metrics, and the processor time of its processes.

Only where we may: a stranger without an operator's key has no metrics, and processes are only looked at where
they are our own.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import psutil

from loadtests.costs import processes
from loadtests.load.door import Door, Failed
from pipeline.log import embedded
from pipeline.metrics import names

_EVERY_S: Final = 2.0
_LINE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_PROCESS: Final = re.compile(r'process="([^"]*)"')
_SUMMED: Final = {
    names.MEMORY.name: "gateway_bytes",
    names.RUNNING.name: "turns_running",
    names.LISTENERS.name: "listeners",
    names.LOG_MEMORY.name: "log_bytes",
    names.LOG_COMMANDS.name: "log_commands",
    names.LIVE.name: "sessions_live",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one moment (monotonic). `cpu_s`: of all its processes, since they began."""

    moment_s: float
    figures: dict[str, float]
    part_cpu_s: dict[str, float] = field(default_factory=dict)
    """Of each part: Gateway, LanguageModel, Log server, …"""
    part_mb: dict[str, float] = field(default_factory=dict)


class System:
    """`home`: of a system of our own, by which its processes are found."""

    def __init__(self, door: Door, home: Path | None = None) -> None:
        self._door = door
        self._home = home
        self.why_not = ""
        """Why its metrics could not be read; empty: they could."""

    async def watch(self, looks: list[Look]) -> None:
        """Until cancelled."""
        while True:
            figures = await self._metrics()
            cpu: dict[str, float] = {}
            held: dict[str, float] = {}
            if self._home is not None:
                cpu, held = await asyncio.to_thread(_used, self._home)
                figures |= {"cpu_s": sum(cpu.values())} if cpu else {}
            if figures:
                looks.append(Look(monotonic(), figures, cpu, held))
            await asyncio.sleep(_EVERY_S)

    async def _metrics(self) -> dict[str, float]:
        try:
            page = await self._door.page("/metrics")
        except Failed as error:
            self.why_not = f"GET /metrics: {error}"
            return {}
        if not page.is_success:
            self.why_not = f"GET /metrics answered {page.status_code}: that is for administrators"
            return {}
        self.why_not = ""
        return read(page.text.splitlines())


def _used(home: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Of each part, processor seconds and megabytes; of the log server the process, too."""
    cpu, held = processes.used(home)
    server = embedded.status(home)
    if server is not None:
        with suppress(psutil.Error):
            log = psutil.Process(server.pid)
            times = log.cpu_times()
            cpu["Log server"] = times.user + times.system
            held["Log server"] = log.memory_info().rss / 2**20
    return cpu, held


def read(page: Iterable[str]) -> dict[str, float]:
    """Sums over processes, of memory only the gateways'."""
    found: dict[str, float] = {}
    for name, labels, value in _lines(page):
        process = _PROCESS.search(labels)
        if name == names.MEMORY.name and not (process and process[1].startswith("gateway")):
            continue
        figure = _SUMMED[name]
        found[figure] = found.get(figure, 0.0) + value
        if figure == "gateway_bytes":
            found["gateways"] = found.get("gateways", 0.0) + 1
    return found


def _lines(page: Iterable[str]) -> Iterator[tuple[str, str, float]]:
    """Only what is wanted: a page has thousands of lines, and is read beside people who listen."""
    for line in page:
        if (found := _LINE.fullmatch(line)) is not None and found[1] in _SUMMED:
            yield found[1], found[2] or "", float(found[3])
