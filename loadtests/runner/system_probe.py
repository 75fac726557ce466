"""Samples of the system under load: its metrics, its processes, and the keys and files of its log."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.servers.system_processes import ProcessSample, members
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.observability import metric_names

_PAGE: Final = 1_000
_LIMIT_S: Final = 5.0


def keys(home: Path) -> dict[str, float]:
    """`keys` that stay until somebody deletes them, `streams` of all, `log_disk_bytes`.

    Not counted are keys that expire: a deleted session leaves one for a day. Where the log server does not
    answer, there is only what is on disk.
    """
    found = {"log_disk_bytes": float(_on_disk(home / "log"))}
    server: Redis = Redis(
        unix_socket_path=str(embedded_server.socket_path(home)), protocol=2, socket_timeout=_LIMIT_S
    )
    with closing(server), suppress(RedisError):  # it may have been killed, or load its file
        space = server.info("keyspace").get("db0", {"keys": 0, "expires": 0})
        found["keys"] = float(space["keys"] - space["expires"])
        found["streams"] = float(sum(1 for _ in server.scan_iter(count=_PAGE, _type="stream")))
    return found


def _on_disk(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue  # written anew just now
    return size


_EVERY_S: Final = 2.0
_KEYS_EVERY: Final = 5
"""Looks: going through all keys is work for the log server."""
_LINE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_PROCESS: Final = re.compile(r'process="([^"]*)"')
_SUMMED: Final = {
    metric_names.RUNNING.name: "turns_running",
    metric_names.LISTENERS.name: "listeners",
    metric_names.LOG_MEMORY.name: "log_bytes",
    metric_names.LOG_COMMANDS.name: "log_commands",
    metric_names.LIVE.name: "sessions_live",
}
_EACH: Final = {metric_names.MEMORY.name: "bytes", metric_names.TASKS.name: "tasks"}


@dataclass(frozen=True, slots=True)
class SystemSample:
    """Sample of one moment (monotonic)."""

    moment_s: float
    figures: dict[str, float]
    """Of the whole system."""
    each: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures that gateways and workers report of themselves: figure, then process."""
    members: tuple[ProcessSample, ...] = ()
    """Of a system of our own: its processes."""

    @property
    def gateway_bytes(self) -> dict[str, float]:
        """Of each gateway that has told."""
        found = self.each.get("bytes", {})
        return {process: value for process, value in found.items() if process.startswith("gateway")}


class SystemProbe:
    """`home`: of a system of our own, by which its processes are found."""

    def __init__(self, connection: ApiConnection, home: Path | None = None) -> None:
        self._connection = connection
        self._home = home
        self.why_not = ""
        """Why its metrics could not be read; empty: they could."""

    async def watch(self, looks: list[SystemSample]) -> None:
        """Until cancelled."""
        number = 0
        while True:
            figures, each = await self._metrics()
            found: list[ProcessSample] = []
            if self._home is not None:
                found = await asyncio.to_thread(members, self._home)
                if number % _KEYS_EVERY == 0:
                    figures |= await asyncio.to_thread(keys, self._home)
            if figures or found:
                looks.append(SystemSample(monotonic(), figures, each, tuple(found)))
            number += 1
            await asyncio.sleep(_EVERY_S)

    async def _metrics(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        try:
            page = await self._connection.page("/metrics")
        except Failed as error:
            self.why_not = f"GET /metrics: {error}"
            return {}, {}
        if not page.is_success:
            self.why_not = f"GET /metrics answered {page.status_code}: that is for administrators"
            return {}, {}
        self.why_not = ""
        return read(page.text.splitlines())


def read(page: Iterable[str]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Sums over processes; and what each of them says of itself: figure, then process."""
    summed: dict[str, float] = {}
    each: dict[str, dict[str, float]] = {}
    for name, labels, value in _lines(page):
        if name in _SUMMED:
            figure = _SUMMED[name]
            summed[figure] = summed.get(figure, 0.0) + value
        elif process := _PROCESS.search(labels):
            each.setdefault(_EACH[name], {})[process[1]] = value
    return summed, each


def _lines(page: Iterable[str]) -> Iterator[tuple[str, str, float]]:
    """Only what is wanted: a page has thousands of lines, and is read beside callers who listen."""
    for line in page:
        if (found := _LINE.fullmatch(line)) is not None and (found[1] in _SUMMED or found[1] in _EACH):
            yield found[1], found[2] or "", float(found[3])
