"""What an event costs, and how long it takes, where more and more sessions are live at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtests.bench.live import living, refusals
from loadtests.bench.measured import Measured
from loadtests.console import say
from loadtests.costs.processes import Meter, Usage
from loadtests.figures import Row, percentile
from loadtests.listener import Arrival
from loadtests.stream_rows import ages

SCRIPT: Final[dict[str, Any]] = {
    "stamp": True,
    "delta_chars": 1,
    "per_delta_ms": 50,
    "reply": "x" * 2_000,
}
"""Twenty deltas a second, each with the time it was made at."""
_WISH: Final = {"speak": False, "max_tokens": 4_096}
_SETTLE_S: Final = 2.0
_ALONE: Final = 4
"""One session makes few events: its windows are so much longer."""


@dataclass
class Point:
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


async def growing(url: str, meter: Meter, counts: Sequence[int], windows: int, seconds: float) -> list[Point]:
    """Each count on top of the one before it. What idle gateways take is measured first, and taken off."""
    delays: list[float] = []

    def take(arrival: Arrival) -> None:
        if arrival.event["type"] == "text.delta":
            delays.extend(ages(arrival.event["data"]["text"], arrival.at_ns))

    idle = await _idle(meter, 2 * seconds)
    found: list[Point] = []
    async with living(url, _WISH, take) as live:
        for count in counts:
            say(f"g: {count} sessions")
            await live.grow(count)
            await asyncio.sleep(_SETTLE_S)
            point = Point(count)
            for _ in range(windows):
                delays.clear()
                before = await asyncio.to_thread(meter.read)
                heard = live.facts
                await asyncio.sleep(seconds * (_ALONE if count == 1 else 1))
                events = live.facts - heard
                taken = list(delays)
                used = (await asyncio.to_thread(meter.read)).since(before)
                point.cpu_us.append(max(0.0, spent_s(used) - idle * used.at_s) / max(1, events) * 1e6)
                point.delays_ms.append(taken)
                point.rate.append(events / used.at_s)
            point.refused = live.refused
            found.append(point)
    return found


def spent_s(used: Usage) -> float:
    """Processor seconds of gateways and log."""
    return used.cpu_s.get("Gateway", 0.0) + used.log_cpu_s


async def _idle(meter: Meter, seconds: float) -> float:
    """Cores that gateways and log take while nobody is there."""
    before = await asyncio.to_thread(meter.read)
    await asyncio.sleep(seconds)
    used = (await asyncio.to_thread(meter.read)).since(before)
    return spent_s(used) / used.at_s


def growth_rows(points: Sequence[Point]) -> list[Measured]:
    """Each count beside the first."""
    first, found = points[0], list[Measured]()
    for point in points[1:]:
        rate = percentile(point.rate, 0.5) / point.sessions
        each = f"{rate:.0f} events/s each{refusals(point.refused)}"
        cpu = Row(
            f"CPU of gateways and log for an event, {point.sessions} sessions",
            "us",
            point.cpu_us,
            first.cpu_us,
            f"{first.sessions} session",
            "flat",
            None,
            note=each,
        )
        delay = Row(
            f"text delta, engine to client, {point.sessions} sessions",
            "ms",
            [delay for window in point.delays_ms for delay in window],
            [delay for window in first.delays_ms for delay in window],
            f"{first.sessions} session",
            "-",
            None,
            note=each,
        )
        found.append(Measured.each(f"g.sessions.{point.sessions}.cpu", cpu, paired=False))
        key = f"g.sessions.{point.sessions}.delta"
        found.append(Measured(key, delay, point.delays_ms, first.delays_ms, paired=False))
    return found
