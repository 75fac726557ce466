"""Samples of the system under load, and what it and this client used; growth is that of living processes."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.report.load_result import ClientSeen, ProcessKill, ProcessSeen, SystemLoad, SystemSeen
from loadtests.report.load_summary import CallersInside
from loadtests.report.tables import percentile, slope_per_minute
from loadtests.runner.open_loop import ProcessShare
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


WARM_S: Final = 120.0
"""The beginning of a life, in which what is made once and kept is made."""
_SHORTEST_S: Final = 60.0
"""Of all lives together, beyond their beginnings: from less nobody can tell."""

Life = Sequence[tuple[float, float]]
"""When (seconds), and how much there was; in order."""


def settled(life: Life) -> Life:
    """Samples that count for growth: the second half, without the first two minutes in any case."""
    if not life:
        return life
    begins, ends = life[0][0], life[-1][0]
    from_s = begins + max(WARM_S, (ends - begins) / 2)
    return [sample for sample in life if sample[0] >= from_s]


def growth_per_minute(lives: Iterable[Life]) -> float | None:
    """The slope that all lives share, each around its own mean: how much one held before says nothing.

    A process that is killed starts anew with less; over all its lives that would look like a saw, whose slope
    depends on where it is cut off. None: too short to say.
    """
    above = below = seen_s = 0.0
    for life in map(settled, lives):
        if len(life) < 2:
            continue
        seen_s += life[-1][0] - life[0][0]
        mean_s = sum(at_s for at_s, _ in life) / len(life)
        mean = sum(value for _, value in life) / len(life)
        above += sum((at_s - mean_s) * (value - mean) for at_s, value in life)
        below += sum((at_s - mean_s) ** 2 for at_s, _ in life)
    return None if seen_s < _SHORTEST_S or not below else above / below * 60


def at_once(looks: Sequence[Mapping[str, float]]) -> float:
    """How many there usually are: the median. `looks`: by life, each time somebody looked."""
    counts = sorted(len(look) for look in looks)
    return float(counts[len(counts) // 2]) if counts else 0.0


def lives_of(at_s: Sequence[float], looks: Sequence[Mapping[str, float]]) -> list[Life]:
    """By life, from looks at all of them at these seconds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for moment_s, look in zip(at_s, looks, strict=True):
        for life, value in look.items():
            found.setdefault(life, []).append((moment_s, value))
    return list(found.values())


def growth_of_all(at_s: Sequence[float], looks: Sequence[Mapping[str, float]]) -> float | None:
    """Of as many processes as there usually are, together. None: too short to say."""
    each = growth_per_minute(lives_of(at_s, looks))
    return None if each is None else each * at_once(looks)


_LOADS: Final = 360
_SHORTEST_GROWTH_S: Final = 120.0
_MEGABYTE: Final = 2.0**20


def system(
    looks: Sequence[SystemSample],
    why_not: str,
    epoch_s: float,
    inside: CallersInside,
    *,
    seconds: float = inf,
    kills: Sequence[ProcessKill] = (),
) -> SystemSeen:
    """Usage of the system. Caches are no growth: they fill in the first half, of the run or of a life.

    Nor is it told by what is given back after so many `seconds`, when nobody comes any more.
    """
    every = max(1, len(looks) // _LOADS)
    chosen = looks[::every]
    usual = _usual_gateways(looks)
    loads = tuple(
        _load(before, look, look.moment_s - epoch_s, inside, usual)
        for before, look in zip([None, *chosen], chosen, strict=False)
    )
    looked = any(look.gateway_bytes for look in looks)
    looks = [look for look in looks if look.moment_s - epoch_s <= seconds]
    growth = _by_part(looks, lambda one: one.mb)
    if (data := _growth(looks, _megabytes(looks, "log_bytes"))) is not None:
        growth["log data"] = data
    gateways = _of_lives(looks, [look.gateway_bytes for look in looks])
    return SystemSeen(
        looked=looked,
        why_not=why_not,
        loads=loads,
        gateway_growth_mb_per_min=None if gateways is None else round(gateways / _MEGABYTE, 3),
        growth_mb_per_min=growth,
        fd_growth_per_min=_by_part(looks, lambda one: one.fds),
        thread_growth_per_min=_by_part(looks, lambda one: one.threads),
        task_growth_per_min=_of_lives(looks, [look.each.get("tasks", {}) for look in looks]),
        process_growth_per_min=_growth(looks, [float(len(look.members)) or None for look in looks]),
        key_growth_per_min=_growth(looks, [look.figures.get("keys") for look in looks]),
        stream_growth_per_min=_growth(looks, [look.figures.get("streams") for look in looks]),
        kills=tuple(kills),
    )


def _by_part(looks: Sequence[SystemSample], value: Callable[[ProcessSample], float]) -> dict[str, float]:
    """Growth of each part, while its processes live."""
    found = {}
    for part in sorted({one.part for look in looks for one in look.members}):
        of_part = [{one.life: value(one) for one in look.members if one.part == part} for look in looks]
        if (grown := _of_lives(looks, of_part)) is not None:
            found[part] = grown
    return found


def _of_lives(looks: Sequence[SystemSample], values: Sequence[Mapping[str, float]]) -> float | None:
    """Growth of all lives; a process without a figure is left out of that sample."""
    there = [(look.moment_s, found) for look, found in zip(looks, values, strict=True) if found]
    grown = growth_of_all([at_s for at_s, _ in there], [found for _, found in there])
    return None if grown is None else round(grown, 3)


def _usual_gateways(looks: Sequence[SystemSample]) -> int:
    counts = Counter(len(look.gateway_bytes) for look in looks if look.gateway_bytes)
    return max(counts, key=lambda count: counts[count], default=0)


def _megabytes(looks: Sequence[SystemSample], name: str) -> list[float | None]:
    return [look.figures[name] / _MEGABYTE if name in look.figures else None for look in looks]


def _growth(looks: Sequence[SystemSample], values: Sequence[float | None]) -> float | None:
    """Slope of the second half, of what no process keeps for itself."""
    known = [(look.moment_s, value) for look, value in zip(looks, values, strict=True) if value is not None]
    if not known or known[-1][0] - known[0][0] < _SHORTEST_GROWTH_S:
        return None
    at_s, held = zip(*known, strict=True)
    return round(slope_per_minute(at_s, held), 3)


def _load(
    before: SystemSample | None, look: SystemSample, at_s: float, inside: CallersInside, usual: int
) -> SystemLoad:
    now = look.figures
    since_s = 2.0 if before is None else look.moment_s - before.moment_s

    def rate(name: str) -> float | None:
        if before is None or name not in now or name not in before.figures:
            return None
        return round(max(0.0, now[name] - before.figures[name]) / since_s, 3)

    def megabytes(name: str) -> float | None:
        return round(now[name] / _MEGABYTE, 2) if name in now else None

    gateways, tasks = look.gateway_bytes, look.each.get("tasks", {})
    parts: dict[str, list[ProcessSample]] = {}
    for one in look.members:
        parts.setdefault(one.part, []).append(one)
    cores = {} if before is None else _cores(before.members, look.members, since_s)
    return SystemLoad(
        at_s=round(max(0.0, at_s), 1),
        people=round(inside.between(at_s - since_s, at_s), 1),  # sessions used since the last look
        # Where a gateway was too busy to tell, or a dead one is still told of, that is not what there is.
        gateway_mb=round(sum(gateways.values()) / _MEGABYTE, 2) if len(gateways) == usual > 0 else None,
        log_mb=megabytes("log_bytes"),
        cores=round(sum(cores.values()), 3) if cores else None,
        log_commands_per_s=rate("log_commands"),
        part_cores={part: round(used, 4) for part, used in cores.items()},
        part_mb={part: round(sum(one.mb for one in those), 2) for part, those in parts.items()},
        part_fds={part: sum(one.fds for one in those) for part, those in parts.items()},
        part_threads={part: sum(one.threads for one in those) for part, those in parts.items()},
        processes=len(look.members) or None,
        tasks=sum(tasks.values()) if tasks else None,
        keys=None if "keys" not in now else round(now["keys"]),
        streams=None if "streams" not in now else round(now["streams"]),
        log_disk_mb=megabytes("log_disk_bytes"),
    )


def _cores(before: Sequence[ProcessSample], now: Sequence[ProcessSample], since_s: float) -> dict[str, float]:
    """By part; of a process that was not there before, all that it has used."""
    spent = {one.process: one.cpu_s for one in before}
    known = {one.part for one in before}
    found: dict[str, float] = {}
    for one in now:
        if one.part in known:
            used_s = max(0.0, one.cpu_s - spent.get(one.process, 0.0))
            found[one.part] = found.get(one.part, 0.0) + used_s / since_s
    return found


def client(shares: Sequence[ProcessShare]) -> ClientSeen:
    seen = [_process(share) for share in shares]
    return ClientSeen(
        late_p99_ms=max(one.late_p99_ms for one in seen),
        late_most_ms=max(one.late_most_ms for one in seen),
        starts_late_p99_ms=max(one.starts_late_p99_ms for one in seen),
        cpu_s=round(sum(one.cpu_s for one in seen), 2),
        frames=sum(share.traffic.frames for share in shares),
        megabytes=round(sum(share.traffic.bytes for share in shares) / 1e6, 2),
        processes=tuple(seen) if len(seen) > 1 else (),
    )


def _process(share: ProcessShare) -> ProcessSeen:
    late = [tick.late_ms for tick in share.ticks] or [0.0]
    starts = [visit.late_s * 1_000 for visit in share.visits] or [0.0]
    used_s = share.ticks[-1].cpu_s - share.ticks[0].cpu_s if share.ticks else 0.0
    return ProcessSeen(
        people=len(share.visits),
        late_p99_ms=round(percentile(late, 0.99), 1),
        late_most_ms=round(max(late), 1),
        starts_late_p99_ms=round(percentile(starts, 0.99), 1),
        cpu_s=round(used_s, 2),
        died=share.died,
    )
