"""A whole run: in one process or in several, beside somebody who looks at the system."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from loadtests.client.api_connection import ApiConnection
from loadtests.report import load_summary
from loadtests.runner import usage_summary
from loadtests.runner.open_loop import LoadPlan, LoadProgress, ProcessShare, take_part
from loadtests.runner.process_killer import ProcessKiller
from loadtests.runner.usage_summary import SystemProbe, SystemSample
from loadtests.runner.worker_pool import WorkerPool

_ENDS: Final = (signal.SIGINT, signal.SIGTERM)
_LEAD_S: Final = 0.3
"""From the word to the beginning, so that it has reached every process."""
_FOLLOWED_S: Final = 60.0
"""For whoever follows the last process that was killed, when all have left; else nobody followed it."""


@dataclass(slots=True)
class LoadRun:
    """`stop`: callers stop coming, who is there goes, and what there was until then is reported."""

    plan: LoadPlan
    url: str
    key: str | None
    processes: int
    system: SystemProbe
    killer: ProcessKiller | None = None
    """None: nothing is killed."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    shares: list[ProcessShare] = field(default_factory=list)
    looks: list[SystemSample] = field(default_factory=list)
    epoch_s: float = 0.0
    _killing: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _failures: list[str] = field(default_factory=list, init=False)
    """Of whoever looked at the system or killed it: what callers heard is told all the same."""

    async def through(self, said: Callable[[LoadProgress, float], None]) -> None:
        """`said` is called now and then, with the seconds so far. Raises Failed, RuntimeError."""
        looking = asyncio.create_task(self.system.watch(self.looks))

        def told(count: LoadProgress) -> None:
            if count.over:
                looking.cancel()  # what follows is our own reading
                if self.killer is not None:
                    self.killer.over = True
            said(count, monotonic() - self.epoch_s)

        try:
            await (self._alone(told) if self.processes == 1 else self._with_a_crew(told))
            if self._killing:
                await self._followed()
        finally:
            beside = [looking, *self._killing]
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
            self._failures += [f"{type(one).__name__}: {one}" for one in ended if isinstance(one, Exception)]

    async def _followed(self) -> None:
        """Return when the last process that was killed has been followed, or when nobody waits for it."""
        stopped = asyncio.create_task(self.stop.wait())
        try:
            ends = {*self._killing, stopped}
            await asyncio.wait(ends, timeout=_FOLLOWED_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    def _begin(self, epoch_s: float) -> None:
        self.epoch_s = epoch_s
        if self.killer is not None:
            self._killing = [asyncio.create_task(self.killer.run(epoch_s))]

    async def _alone(self, told: Callable[[LoadProgress], None]) -> None:
        self._begin(monotonic())
        async with ApiConnection(self.url, self.key, again_s=self.plan.again_s) as connection:
            self.shares = [await take_part(self.plan, connection, told, self.stop, self.epoch_s)]

    async def _with_a_crew(self, told: Callable[[LoadProgress], None]) -> None:
        crew = WorkerPool(told, self.stop)
        try:
            await crew.begin(self.plan, self.url, self.key, self.processes)
            self._begin(monotonic() + _LEAD_S)
            self.shares = await crew.work(self.epoch_s)
        finally:
            await crew.close()

    def figures(self) -> dict[str, Any]:
        """Figures of the run for its LoadResult."""
        visits = sorted((visit for share in self.shares for visit in share.visits), key=lambda one: one.due_s)
        samples = [sample for share in self.shares for sample in share.samples]
        seconds = max(share.seconds for share in self.shares)
        return {
            "seconds": round(seconds, 1),
            "stopped": self.stop.is_set(),
            "people": load_summary.people(visits),
            "by_scenario": load_summary.by_scenario(visits),
            "failures": load_summary.first_of_each(one for share in self.shares for one in share.failures),
            "latencies": load_summary.latencies(samples),
            "judgement": load_summary.together([share.judgement for share in self.shares]),
            "timeline": load_summary.timeline(visits, samples, seconds),
            "system": usage_summary.system(
                self.looks,
                self.system.why_not,
                self.epoch_s,
                load_summary.CallersInside(visits),
                seconds=self.plan.seconds,
                kills=() if self.killer is None else self.killer.kills,
            ),
            "client": usage_summary.client(self.shares),
        }

    def notes(self) -> list[str]:
        """Remarks on how the run ended."""
        said = [
            f"{share.died}: {len(share.visits)} people are lost with it, and their sessions were not deleted."
            for share in self.shares
            if share.died
        ]
        said += [f"Looking at the system, or killing, ended before its time: {one}" for one in self._failures]
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
