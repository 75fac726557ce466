"""Sessions that are answered without end: what an event and a session cost as there are more of them."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
from websockets.asyncio.client import connect

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.rows.stream_latency import ages
from loadtests.client.api_connection import ApiConnection, Refused, TimedFrame
from loadtests.report.tables import ComparisonRow, percentile, say
from loadtests.servers.system_processes import SystemMeter, SystemUsage, processes
from schemas.events import TERMINAL

_PATIENCE_S: Final = 120.0
_PROMPT: Final = "Go on."
_AGAIN_S: Final = 0.5
"""Seconds until a session that a busy gateway refused asks again."""
Take = Callable[[TimedFrame], None]


def unseen(arrival: TimedFrame) -> None:
    """For whom it is enough that events are counted."""


def refusals(times: int) -> str:
    """For a note; nothing where there were none."""
    return f"; refused {times} times while it was busy" if times else ""


class SteadySessions:
    """`grow` adds sessions; they stay until the block of `living` ends."""

    def __init__(
        self,
        client: ApiConnection,
        tasks: asyncio.TaskGroup,
        wish: Mapping[str, Any],
        take: Take,
        rest_s: float,
    ) -> None:
        self.events = 0
        """That have come to all of them."""
        self.refused = 0
        """Times that a busy gateway took no session or question of somebody's."""
        self._client = client
        self._tasks = tasks
        self._wish = wish
        self._take = take
        self.rest_s = rest_s
        """About so long everybody rests from now on between an answer and the next question."""
        self._dice = random.Random(1)  # so that who came together does not ask together for ever
        self._people: list[asyncio.Task[None]] = []
        self._begun: list[asyncio.Event] = []

    async def grow(self, many: int) -> None:
        """Return when there are so many, and each of them has begun to hear an answer.

        Raises TimeoutError where that does not come to pass.
        """
        while len(self._people) < many:
            self._begun.append(begun := asyncio.Event())
            self._people.append(self._tasks.create_task(self._person(begun)))
            await asyncio.sleep(0.02)  # the callers come one after the other
        async with asyncio.timeout(_PATIENCE_S):
            for begun in self._begun:
                await begun.wait()

    @property
    def begun(self) -> int:
        """Sessions that have begun to hear an answer."""
        return sum(begun.is_set() for begun in self._begun)

    def leave(self) -> None:
        for person in self._people:
            person.cancel()

    async def _person(self, begun: asyncio.Event) -> None:
        session = await self._session()
        audio = "opus" if self._wish.get("speak", True) else "none"
        async with self._client.stream(session, after=1, audio=audio) as stream:
            await stream.ask(_PROMPT)
            async for arrival in stream.frames():
                kind = arrival.type
                if kind == "error" and arrival.event["retryable"]:
                    await self._rest()
                    await stream.ask(_PROMPT)
                    continue
                if kind in ("error", "turn.failed"):
                    raise RuntimeError(str(arrival.event))
                if kind == "text.delta":
                    begun.set()
                self.events += 1
                self._take(arrival)
                if kind in TERMINAL:
                    await asyncio.sleep(self.rest_s * self._dice.uniform(0.5, 1.5))
                    await stream.ask(_PROMPT)
        raise RuntimeError("a session's connection ended")

    async def _session(self) -> str:
        while True:
            try:
                return await self._client.create(**self._wish)
            except Refused:
                await self._rest()

    async def _rest(self) -> None:
        self.refused += 1
        await asyncio.sleep(_AGAIN_S)


@asynccontextmanager
async def living(
    url: str, wish: Mapping[str, Any], take: Take = unseen, *, rest_s: float = 0.0
) -> AsyncGenerator[SteadySessions, None]:
    """Start without sessions. `take` gets every frame of every session; `rest_s`: between an answer and the
    next question, about.

    Raises RuntimeError, in a group, when a session fails.
    """
    async with ApiConnection(url) as client, asyncio.TaskGroup() as tasks:
        live = SteadySessions(client, tasks, wish, take, rest_s)
        yield live
        live.leave()


STEPS: Final = 4
"""The sessions come in so many groups of the same size: each is a round."""
FEW: Final = 8
"""Sessions that are listened to for longer, before the others come: so few that nobody waits for anything."""
SETTLE_S: Final = 2.0
"""After a group has come; growing is over by then."""
BUDGET_MB: Final = 2.0


@dataclass(frozen=True, slots=True)
class HeldMemory:
    """Megabytes of one session; the first group, which makes room for all sorts of things, counts like the
    others."""

    sessions: int
    each_mb: Sequence[float]
    """Group by group, as they came."""
    bare_mb: Sequence[float]
    later_mb: Sequence[float]
    """Of one of the first `FEW`, again and again while they go on."""
    events: float
    """That each had by then, from the beginning of the later ones on."""
    seconds: float
    """That they went on for."""
    refused: int = 0

    @property
    def slope_kb(self) -> float:
        """More for each 1,000 events of a session, in the second half.

        The first one also fills what is kept for a time only.
        """
        half = len(self.later_mb) // 2
        grown = self.later_mb[-1] - self.later_mb[half]
        events = self.events * (len(self.later_mb) - 1 - half) / (len(self.later_mb) - 1)
        return grown * 1_000 / max(events, 1.0) * 1_000


def gateways_mb(home: Path) -> float:
    """Unique set size of this home's gateways."""
    return sum(uss_mb(process) for role, process in processes(home) if role == "Gateway")


def uss_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss) / 2**20


async def holding(
    url: str,
    home: Path,
    bare_url: str,
    sessions: int,
    wish: dict[str, Any],
    seconds: float,
    settle_s: float = SETTLE_S,
) -> HeldMemory:
    """A few go on for `seconds`; then `sessions` come in groups."""
    group = max(1, sessions // STEPS)
    async with living(url, wish) as live:
        await live.grow(2)  # memory that is loaded with the first ones counts for none
        await asyncio.sleep(settle_s)
        start = await asyncio.to_thread(gateways_mb, home)
        say(f"f: {FEW} sessions for {seconds:g} s")
        await live.grow(2 + FEW)
        await asyncio.sleep(settle_s)
        later, events = await _later(live, lambda: gateways_mb(home) - start, seconds)
        each, before = [], await asyncio.to_thread(gateways_mb, home)
        for number in range(1, STEPS + 1):
            say(f"f: {number * group} sessions")
            await live.grow(2 + FEW + number * group)
            await asyncio.sleep(settle_s)
            now = await asyncio.to_thread(gateways_mb, home)
            each.append((now - before) / group)
            before = now
    bare = await _bare(bare_url, group, settle_s)
    return HeldMemory(group * STEPS, each, bare, later, events, seconds, live.refused)


async def _later(
    live: SteadySessions, held_mb: Callable[[], float], seconds: float
) -> tuple[list[float], float]:
    """Megabytes of a session at four moments, and how many events each session had in between."""
    found, heard = [await asyncio.to_thread(held_mb) / FEW], live.events
    for _ in range(STEPS):
        await asyncio.sleep(seconds / STEPS)
        found.append(await asyncio.to_thread(held_mb) / FEW)
    return found, (live.events - heard) / (FEW + 2)


async def _bare(url: str, group: int, settle_s: float) -> list[float]:
    """Connections of the same library to a process that does nothing but stream, group by group."""
    [process] = [each for each in psutil.Process().children(True) if url.rpartition(":")[2] in each.cmdline()]
    found: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        listeners = [tasks.create_task(_listen(url)) for _ in range(2)]
        await asyncio.sleep(settle_s)
        before = uss_mb(process)
        for _ in range(STEPS):
            listeners += [tasks.create_task(_listen(url)) for _ in range(group)]
            await asyncio.sleep(settle_s)
            now = uss_mb(process)
            found.append((now - before) / group)
            before = now
        for listener in listeners:
            listener.cancel()
    return found


async def _listen(url: str) -> None:
    """For ever: one answer after the other, each over a connection of its own, as the bare server has it."""
    while True:
        async with connect(url, compression=None, max_size=None) as socket:
            await socket.send("Go on.")
            async for frame in socket:
                json.loads(frame)


def memory_rows(held: HeldMemory) -> list[MeasuredRow]:
    """A session beside a bare connection, and beside itself after a while."""
    budget, bare = f"<= {BUDGET_MB:g} MB", "a connection to a bare WebSocket server"
    each, grown = (percentile(series, 0.5) <= BUDGET_MB for series in (held.each_mb, held.later_mb))
    name = f"memory of the gateways for a live session, {held.sessions} sessions"
    note = f"unique set size, in groups as they came{refusals(held.refused)}"
    now = ComparisonRow(name, "MB", held.each_mb, held.bare_mb, bare, budget, each, note)
    begun, rest, before = held.later_mb[:1], held.later_mb[1:], "when they had just come"
    name = f"the same, of the first {FEW}, up to {held.events:.0f} events later"
    note = f"{held.slope_kb:+.0f} kB for 1,000 events more of a session, in the second half"
    later = ComparisonRow(name, "MB", rest, begun, before, budget, grown, note)
    return [
        MeasuredRow.each("f.session", now, paired=False),
        MeasuredRow.each(f"f.longer.{held.seconds:g}", later, paired=False),
    ]


SCRIPT: Final[dict[str, Any]] = {"stamp": True, "delta_chars": 1, "per_delta_ms": 50, "reply": "x" * 40}
"""Two seconds, each delta with the time it was made at."""
_REST_S: Final = 18.0
"""One in ten is being answered; one replica of the model writes for 32 at a time. The session that the
others are compared with does not rest: alone it would make too few events to say what one costs."""
_WISH: Final = {"speak": False, "max_tokens": 4_096}
_SETTLE_S: Final = 2.0
_IDLE_WINDOWS: Final = 3
_ALONE: Final = 4
"""One session makes few events: its windows are so much longer."""


@dataclass
class GrowthPoint:
    """So many sessions, window by window."""

    sessions: int
    cpu_us: list[float] = field(default_factory=list)
    """Of gateways and log, for each event."""
    delays_ms: list[list[float]] = field(default_factory=list)
    """From the engine to the client."""
    rate: list[float] = field(default_factory=list)
    """Events a second."""
    refused: int = 0
    """Times that a busy gateway took no session or question, until then."""
    begun: int | None = None
    """So many were answered, where not all of them could be: nothing was measured then."""

    def add(self, events: int, cpu_s: float, seconds: float, delays_ms: list[float]) -> None:
        """A window in which there were so many events, one at least."""
        self.cpu_us.append(max(0.0, cpu_s) / events * 1e6)
        self.delays_ms.append(delays_ms)
        self.rate.append(events / seconds)


async def growing(
    url: str,
    meter: SystemMeter,
    counts: Sequence[int],
    windows: int,
    seconds: float,
    *,
    rest_s: float = _REST_S,
    settle_s: float = _SETTLE_S,
) -> list[GrowthPoint]:
    """Each count on top of the one before it. The cost of idle gateways is measured first, and subtracted.

    `rest_s`: about so long everybody rests between an answer and the next question, where there are several.
    """
    delays: list[float] = []

    def take(arrival: TimedFrame) -> None:
        if arrival.type == "text.delta":
            delays.extend(ages(arrival.data["text"], arrival.at_ns))

    await asyncio.sleep(settle_s)
    idle = await _idle(meter, seconds)
    found: list[GrowthPoint] = []
    async with living(url, _WISH, take) as live:
        for place, count in enumerate(counts):
            say(f"g: {count} sessions")
            try:
                await live.grow(count)
            except TimeoutError as error:
                if not found:
                    raise RuntimeError(f"not one of {count} sessions was answered") from error
                found += [
                    GrowthPoint(more, refused=live.refused, begun=live.begun) for more in counts[place:]
                ]
                break
            live.rest_s = 0.0 if count == 1 else rest_s
            await asyncio.sleep(max(settle_s, live.rest_s))  # until they ask at different times
            point = GrowthPoint(count)
            for _ in range(windows):
                delays.clear()
                before, heard = await asyncio.to_thread(meter.read), live.events
                await asyncio.sleep(seconds * (_ALONE if count == 1 else 1))
                events = live.events - heard
                taken = list(delays)
                used = (await asyncio.to_thread(meter.read)).since(before)
                if events:
                    point.add(events, spent_s(used) - idle * used.at_s, used.at_s, taken)
            point.refused = live.refused
            found.append(point)
    return found


def spent_s(used: SystemUsage) -> float:
    """Processor seconds of gateways and log."""
    return used.cpu_s.get("Gateway", 0.0) + used.log_cpu_s


async def _idle(meter: SystemMeter, seconds: float) -> float:
    """Cores that gateways and log take while nobody is there; one event costs less than a disturbance."""
    found: list[float] = []
    for _ in range(_IDLE_WINDOWS):
        before = await asyncio.to_thread(meter.read)
        await asyncio.sleep(seconds)
        used = (await asyncio.to_thread(meter.read)).since(before)
        found.append(spent_s(used) / used.at_s)
    return median(found)


def growth_rows(points: Sequence[GrowthPoint]) -> list[MeasuredRow]:
    """Each count beside the first."""
    first, found = points[0], list[MeasuredRow]()
    for point in points[1:]:
        if point.begun is None:
            rate = percentile(point.rate, 0.5) / point.sessions if point.rate else 0.0
            each = f"{rate:.1f} events/s each{refusals(point.refused)}"
        else:
            each = f"only {point.begun} were answered{refusals(point.refused)}"
        kept, one = None if point.begun is None else False, f"{first.sessions} session"
        name = f"CPU of gateways and log for an event, {point.sessions} sessions"
        cpu = ComparisonRow(name, "us", point.cpu_us, first.cpu_us, one, "flat", kept, each)
        ours, floor = (list(chain(*windows)) for windows in (point.delays_ms, first.delays_ms))
        name = f"text delta, engine to client, {point.sessions} sessions"
        delay = ComparisonRow(name, "ms", ours, floor, one, note=each)
        found.append(MeasuredRow.each(f"g.resting.{point.sessions}.cpu", cpu, paired=False))
        key = f"g.resting.{point.sessions}.delta"
        found.append(MeasuredRow(key, delay, point.delays_ms, first.delays_ms, paired=False))
    return found
