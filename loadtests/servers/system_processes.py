"""Processes of a system under test: their parts, processor time, memory and files."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

import psutil
from redis import Redis

from pipeline.eventlog.redis.embedded import embedded_server
from schemas.errors import LogUnavailable

_TITLES = {"ServeController": "Controller", "ProxyActor": "Proxy", "HTTPProxyActor": "Proxy"}
_RAY = frozenset({"raylet", "gcs_server"})


@dataclass(frozen=True, slots=True)
class SystemUsage:
    """Usage from the start of the processes to one moment."""

    at_s: float
    cpu_s: Mapping[str, float]
    rss_mb: Mapping[str, float]
    log_calls: Mapping[str, int]
    """How often the log server was asked what."""
    log_cpu_s: float
    log_bytes: int
    """Bytes of the log in memory."""

    def since(self, before: "SystemUsage") -> "SystemUsage":
        """Usage in between; memory as its growth."""
        return SystemUsage(
            self.at_s - before.at_s,
            {role: spent - before.cpu_s.get(role, 0.0) for role, spent in self.cpu_s.items()},
            {role: held - before.rss_mb.get(role, 0.0) for role, held in self.rss_mb.items()},
            {name: calls - before.log_calls.get(name, 0) for name, calls in self.log_calls.items()},
            self.log_cpu_s - before.log_cpu_s,
            self.log_bytes - before.log_bytes,
        )


class SystemMeter:
    """Reads the processes of the system whose home this is, and its log server. Use as a context manager."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.log = Redis(unix_socket_path=str(embedded_server.socket_path(home)), protocol=2)

    def read(self) -> SystemUsage:
        cpu, rss = defaultdict[str, float](float), defaultdict[str, float](float)
        for one in _samples(processes(self._home)):
            cpu[one.part] += one.cpu_s
            rss[one.part] += one.mb
        info: Any = self.log.info("cpu")
        stats: Any = self.log.info("commandstats")
        memory: Any = self.log.info("memory")
        return SystemUsage(
            monotonic(),
            cpu,
            rss,
            {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()},
            float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
            int(memory["used_memory"]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()


def processes(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Those of the system whose home this is, each with the part that it plays."""
    wanted = f"RHAPSODE_HOME={home}".encode()
    for process in psutil.process_iter():
        try:
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                yield _role(process.cmdline(), process.name()), process
        except (OSError, psutil.Error):
            continue  # it is gone, or not ours to look at


def _role(words: list[str], name: str) -> str:
    title = words[0] if words else name
    if "loadtests.servers.scripted_gateway" in words:
        return "Gateway"
    if title.startswith("ray::ServeReplica"):
        return title.rpartition(":")[2].partition(".")[0]  # asked something: "Gateway.check_health"
    for part, role in _TITLES.items():
        if title.startswith(f"ray::{part}"):
            return role
    if "valkey" in name or "redis" in name:
        return "Log server"
    return "Ray" if name in _RAY or title.startswith("ray::") or "ray" in os.path.basename(title) else "Rest"


LOG: Final = "Log server"


@dataclass(frozen=True, slots=True)
class ProcessSample:
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


def members(home: Path) -> list[ProcessSample]:
    """All that belong to the system whose home this is, and its log server."""
    found = {process.pid: (part, process) for part, process in processes(home)}
    found |= {process.pid: (LOG, process) for process in log_server(home)}
    return list(_samples(found.values()))


def log_server(home: Path) -> list[psutil.Process]:
    """The log server, found by its socket: it has written its title over what says whose it is."""
    try:
        server = embedded_server.status(home)
        return [] if server is None else [psutil.Process(server.pid)]
    except (LogUnavailable, psutil.NoSuchProcess):
        return []


def _samples(found: Iterable[tuple[str, psutil.Process]]) -> Iterator[ProcessSample]:
    for part, process in found:
        try:
            with process.oneshot():
                times = process.cpu_times()
                yield ProcessSample(
                    part=part,
                    process=f"{process.pid} {process.create_time():.2f}",
                    cpu_s=times.user + times.system,
                    mb=process.memory_info().rss / 2**20,
                    fds=process.num_fds(),
                    threads=process.num_threads(),
                )
        except psutil.Error:
            continue  # it has just gone away
