"""A whole run: in one process or in several, beside a look at the system and a killer of its processes."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psutil

from loadtests.client.api_connection import ApiConnection
from loadtests.report import load_summary
from loadtests.report.load_result import PARTS, ProcessKill
from loadtests.runner import usage_summary
from loadtests.runner.open_loop import LoadPlan, LoadProgress, ProcessShare, take_part
from loadtests.runner.usage_summary import SystemProbe, SystemSample
from loadtests.runner.worker_pool import WorkerPool
from loadtests.servers.system_processes import LOG, log_server, processes

_MARGIN_S: Final = 60.0
"""Before the first kill and after the last, at most: somebody is there, and everything is back at the end."""


@dataclass(frozen=True, slots=True)
class DueKill:
    """At this second of the run (or later, where this client is late) one process of this part dies."""

    at_s: float
    part: str


def schedule(every_s: float, seconds: float, seed: int) -> list[DueKill]:
    """One every so often, round after round, each round in another order. Empty: the run is too short."""
    dice, margin_s = random.Random(seed), min(_MARGIN_S, every_s)
    dues: list[DueKill] = []
    waiting: list[str] = []
    while (at_s := margin_s + len(dues) * every_s) <= seconds - margin_s:
        if not waiting:
            waiting = dice.sample(list(PARTS), len(PARTS))
        dues.append(DueKill(at_s, waiting.pop()))
    return dues


_LOOK_S: Final = 0.5
"""Between looks for a new process: each look reads a page about every process of this machine."""


@dataclass(slots=True)
class ProcessKiller:
    """`home`: of the system, by which its processes are found; nobody else's are touched."""

    home: Path
    dues: Sequence[DueKill]
    seed: int
    kills: list[ProcessKill] = field(default_factory=list)
    _taken: set[psutil.Process] = field(default_factory=set, init=False)
    """Those that have followed one that was killed: each follows only one."""
    over: bool = False
    """All callers have left: nothing else is killed."""

    async def run(self, epoch_s: float) -> None:
        """Until the last process that was killed has been followed by another, or until cancelled."""
        dice = random.Random(self.seed)
        async with asyncio.TaskGroup() as watching:
            for due in self.dues:
                await asyncio.sleep(epoch_s + due.at_s - monotonic())
                if self.over:
                    return
                before = await asyncio.to_thread(_of_part, self.home, due.part)
                pid = _killed(dice.choice(before)) if before else None
                killed_s = monotonic()
                self.kills.append(ProcessKill(at_s=round(killed_s - epoch_s, 1), part=due.part, pid=pid))
                if pid is not None:
                    known = frozenset(before)
                    watching.create_task(self._follow(len(self.kills) - 1, due.part, known, killed_s))

    async def _follow(
        self, number: int, part: str, known: frozenset[psutil.Process], killed_s: float
    ) -> None:
        """Note when there is a process of this part that nobody knew."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now = await asyncio.to_thread(_of_part, self.home, part)
            if new := [process for process in now if process not in known | self._taken]:
                self._taken.add(new[0])
                back_s = round(monotonic() - killed_s, 1)
                self.kills[number] = self.kills[number].model_copy(update={"back_s": back_s})
                return


def _killed(victim: psutil.Process) -> int | None:
    """Its number; None: it was gone before us."""
    try:
        victim.kill()  # psutil looks first whether it still is that process
    except psutil.NoSuchProcess:
        return None
    return victim.pid


def _of_part(home: Path, part: str) -> list[psutil.Process]:
    """Those that live, in order of their numbers."""
    found = log_server(home) if part == LOG else [one for role, one in processes(home) if role == part]
    return sorted(filter(_lives, found), key=lambda one: one.pid)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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
                looking.cancel()  # the rest is our own reading
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
