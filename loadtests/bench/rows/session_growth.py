"""Cost and latency of an event as the number of live sessions grows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.rows.steady_load import living, refusals
from loadtests.bench.rows.stream_latency import ages
from loadtests.client.event_socket import TimedFrame
from loadtests.report.run_info import say
from loadtests.report.tables import ComparisonRow, percentile
from loadtests.servers.system_processes import SystemMeter, SystemUsage

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
        cpu = ComparisonRow(
            f"CPU of gateways and log for an event, {point.sessions} sessions",
            "us",
            point.cpu_us,
            first.cpu_us,
            f"{first.sessions} session",
            "flat",
            None if point.begun is None else False,
            note=each,
        )
        delay = ComparisonRow(
            f"text delta, engine to client, {point.sessions} sessions",
            "ms",
            [delay for window in point.delays_ms for delay in window],
            [delay for window in first.delays_ms for delay in window],
            f"{first.sessions} session",
            "-",
            None,
            note=each,
        )
        found.append(MeasuredRow.each(f"g.resting.{point.sessions}.cpu", cpu, paired=False))
        key = f"g.resting.{point.sessions}.delta"
        found.append(MeasuredRow(key, delay, point.delays_ms, first.delays_ms, paired=False))
    return found
