"""The processes of a system of our own: which part each plays, and what it holds and has used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from loadtests.costs.processes import processes
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.errors import LogUnavailable

LOG: Final = "Log server"


@dataclass(frozen=True, slots=True)
class Member:
    """One process at one moment."""

    part: str
    """Gateway, LanguageModel, Log server, …"""
    process: str
    """The same for the same process, and never again for another one."""
    cpu_s: float
    """Since it began."""
    mb: float
    fds: int
    threads: int

    @property
    def life(self) -> str:
        """Of the process in this part: before, it may have waited for one, and held less."""
        return f"{self.part} {self.process}"


def members(home: Path) -> list[Member]:
    """All that belong to the system whose home this is."""
    found: dict[int, Member] = {}
    for part, process in processes(home):
        _note(found, part, process.pid)
    server = log_server(home)
    if server is not None:
        _note(found, LOG, server)
    return list(found.values())


def log_server(home: Path) -> int | None:
    """Its number, found by its socket: it has written its title over what says whose it is."""
    try:
        server = embedded_server.status(home)
    except LogUnavailable:
        return None
    return None if server is None else server.pid


def _note(found: dict[int, Member], part: str, pid: int) -> None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            found[pid] = Member(
                part=part,
                process=f"{pid} {process.create_time():.2f}",
                cpu_s=times.user + times.system,
                mb=process.memory_info().rss / 2**20,
                fds=process.num_fds(),
                threads=process.num_threads(),
            )
    except psutil.Error:
        return  # it has just gone away
