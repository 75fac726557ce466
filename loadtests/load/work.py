"""A whole run: in one process or in several, beside somebody who looks at the system."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from loadtests.load import costs, summary
from loadtests.load.crew import Crew
from loadtests.load.door import Door
from loadtests.load.runner import Count, Plan
from loadtests.load.share import Share, take_part
from loadtests.load.system import Look, System

_ENDS: Final = (signal.SIGINT, signal.SIGTERM)
_LEAD_S: Final = 0.3
"""From the word to the beginning, so that it has reached every process."""


@dataclass(slots=True)
class Work:
    """`stop`: people stop coming, who is there goes, and what there was until then is reported."""

    plan: Plan
    url: str
    key: str | None
    processes: int
    system: System
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    shares: list[Share] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    epoch_s: float = 0.0

    async def through(self, said: Callable[[Count, float], None]) -> None:
        """`said` is called now and then, with the seconds so far. Raises Failed, RuntimeError."""
        looking = asyncio.create_task(self.system.watch(self.looks))

        def told(count: Count) -> None:
            if count.over:
                looking.cancel()  # what follows is our own reading
            said(count, monotonic() - self.epoch_s)

        try:
            await (self._alone(told) if self.processes == 1 else self._with_a_crew(told))
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _alone(self, told: Callable[[Count], None]) -> None:
        self.epoch_s = monotonic()
        door = Door(self.url, self.key)
        try:
            self.shares = [await take_part(self.plan, door, told, self.stop, self.epoch_s)]
        finally:
            await door.aclose()

    async def _with_a_crew(self, told: Callable[[Count], None]) -> None:
        crew = Crew(told, self.stop)
        try:
            await crew.begin(self.plan, self.url, self.key, self.processes)
            self.epoch_s = monotonic() + _LEAD_S
            self.shares = await crew.work(self.epoch_s)
        finally:
            await crew.close()

    def figures(self) -> dict[str, Any]:
        """What a Result says of it."""
        visits = sorted((visit for share in self.shares for visit in share.visits), key=lambda one: one.due_s)
        samples = [sample for share in self.shares for sample in share.samples]
        seconds = max(share.seconds for share in self.shares)
        return {
            "seconds": round(seconds, 1),
            "stopped": self.stop.is_set(),
            "people": summary.people(visits),
            "by_scenario": summary.by_scenario(visits),
            "failures": summary.first_of_each(one for share in self.shares for one in share.failures),
            "latencies": summary.latencies(samples),
            "judgement": summary.together([share.judgement for share in self.shares]),
            "timeline": summary.timeline(visits, samples, seconds),
            "system": costs.system(self.looks, self.system.why_not, self.epoch_s, summary.Inside(visits)),
            "client": costs.client(self.shares),
        }

    def notes(self) -> list[str]:
        """What a reader should know of how it ended."""
        said = [
            f"{share.died}: {len(share.visits)} people are lost with it, and their sessions were not deleted."
            for share in self.shares
            if share.died
        ]
        if self.stop.is_set():
            came = sum(len(share.visits) for share in self.shares)
            said.append(f"Stopped by hand: {len(self.plan.due_s) - came} people had not come yet.")
        return said


@contextmanager
def interruptible(stop: asyncio.Event) -> Iterator[None]:
    """Ctrl-C or SIGTERM sets it; a second one ends the program at once."""
    loop, before = asyncio.get_running_loop(), {one: signal.getsignal(one) for one in _ENDS}

    def leave_it() -> None:
        for one, handler in before.items():
            loop.remove_signal_handler(one)
            signal.signal(one, handler)

    def once() -> None:
        stop.set()
        leave_it()

    for one in _ENDS:
        loop.add_signal_handler(one, once)
    try:
        yield
    finally:
        leave_it()
