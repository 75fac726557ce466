"""Memory of the gateways for a live session, beside an open WebSocket that streams the same text."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from websockets.asyncio.client import connect

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.rows.steady_load import SteadySessions, living, refusals
from loadtests.report.run_info import say
from loadtests.report.tables import ComparisonRow, percentile
from loadtests.servers.system_processes import processes

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
        await live.grow(2)  # what is loaded with the first ones is nobody's
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
    grown = percentile(held.later_mb, 0.5)
    slope = f"{held.slope_kb:+.0f} kB for 1,000 events more of a session, in the second half"
    now = ComparisonRow(
        f"memory of the gateways for a live session, {held.sessions} sessions",
        "MB",
        held.each_mb,
        held.bare_mb,
        "a connection to a bare WebSocket server",
        f"<= {BUDGET_MB:g} MB",
        percentile(held.each_mb, 0.5) <= BUDGET_MB,
        note=f"unique set size, in groups as they came{refusals(held.refused)}",
    )
    later = ComparisonRow(
        f"the same, of the first {FEW}, up to {held.events:.0f} events later",
        "MB",
        held.later_mb[1:],
        held.later_mb[:1],
        "when they had just come",
        f"<= {BUDGET_MB:g} MB",
        grown <= BUDGET_MB,
        note=slope,
    )
    return [
        MeasuredRow.each("f.session", now, paired=False),
        MeasuredRow.each(f"f.longer.{held.seconds:g}", later, paired=False),
    ]
