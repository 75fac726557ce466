"""Open loop: people come when they are due, whether or not those before them have been answered."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Final

from websockets.exceptions import WebSocketException

from loadtests.load import marks
from loadtests.load.audit import settle
from loadtests.load.door import Door, Failed, Refused
from loadtests.load.line import Traffic
from loadtests.load.person import Person
from loadtests.load.scenarios.base import Scenario
from loadtests.load.visit import Visit

TICK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before the run. Of several processes each has it, and its own people."""

    due_s: Sequence[float]
    """When people come, after the beginning."""
    names: Sequence[str]
    """The scenario of each."""
    scenarios: dict[str, Scenario]
    seconds: float
    grace_s: float
    """For those who are still there when nobody comes any more."""
    most: int
    """People at once in all processes; who comes then is turned away by this client, and counted."""
    seed: int
    patience_s: float
    compare: int = 0
    """So many visits are compared with the log."""
    keep: bool = False
    """Sessions are not deleted."""
    tidy: bool = False
    """Sessions are compared and deleted when their person has left, not after the run."""
    killing: bool = False
    """Parts of the system are killed: what that breaks is tried again for as long as somebody's patience."""
    from_the_door: bool = False
    """Somebody's first question is due when they are: opening a session and connecting is waiting for it."""
    process: int = 0
    processes: int = 1

    @property
    def again_s(self) -> float:
        """For so long is tried again what met a process that died."""
        return self.patience_s if self.killing else 0.0

    @property
    def numbers(self) -> range:
        """Of the people of this process."""
        return range(self.process, len(self.due_s), self.processes)

    def part(self, whole: int) -> int:
        """This process's part of a number that is for all of them: the parts add up."""
        return whole * (self.process + 1) // self.processes - whole * self.process // self.processes


@dataclass(frozen=True, slots=True)
class Tick:
    """How it looked at one moment."""

    at_s: float
    late_ms: float
    """By how much this client's own clock ran late: what is measured is no better than this."""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Count:
    """How far it is."""

    inside: int = 0
    fine: int = 0
    refused: int = 0
    failed: int = 0
    over: bool = False
    """Nobody is inside any more, and nobody comes."""


@dataclass(slots=True)
class Run:
    """What came of it."""

    epoch_s: float
    """The run's beginning on the monotonic clock."""
    visits: list[Visit] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    inside: int = 0
    seconds: float = 0.0

    def count(self, *, over: bool = False) -> Count:
        ended = [visit.outcome for visit in self.visits if visit.ended_s is not None]
        refused = ended.count("refused") + ended.count("refused_by_us")
        return Count(self.inside, ended.count("fine"), refused, ended.count("failed"), over)


async def run(
    plan: Plan, door: Door, said: Callable[[Count], None], stop: asyncio.Event, epoch_s: float
) -> Run:
    """From `epoch_s` on (monotonic). `said` is called at every tick but those that were missed.

    `stop`: nobody comes any more.
    """
    result = Run(epoch_s)
    async with asyncio.TaskGroup() as beside:
        watching = beside.create_task(_watch(result, said))
        await _people(plan, door, result, stop)
        result.seconds = monotonic() - epoch_s
        watching.cancel()
    said(result.count(over=True))
    return result


async def _people(plan: Plan, door: Door, result: Run, stop: asyncio.Event) -> None:
    """Return when the last has left, or when the grace is over: then the rest is sent away."""
    epoch_s, most = result.epoch_s, plan.part(plan.most)
    async with asyncio.TaskGroup() as people:
        tasks: set[asyncio.Task[None]] = set()
        for number in plan.numbers:
            due_s = plan.due_s[number]
            if await _stopped(stop, epoch_s + due_s - monotonic()):
                break
            visit = Visit(number, plan.names[number], due_s)
            result.visits.append(visit)
            if len(tasks) >= most:
                visit.outcome, visit.ended_s = "refused_by_us", due_s
                continue
            # The first step of the task comes after this loop's next pause: lateness is noted there.
            task = people.create_task(_stay(plan, door, result, visit))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await _left(tasks, stop, epoch_s + plan.seconds + plan.grace_s - monotonic())
        for task in tasks:
            task.cancel()


async def _stopped(stop: asyncio.Event, wait_s: float) -> bool:
    """Whether that comes first."""
    if wait_s > 0:
        try:
            async with asyncio.timeout(wait_s):
                await stop.wait()
        except TimeoutError:
            return False
    return stop.is_set()


async def _left(tasks: set[asyncio.Task[None]], stop: asyncio.Event, wait_s: float) -> None:
    """Return when all have left, when they are stopped, or after so long."""
    if not tasks:
        return
    ends = {asyncio.ensure_future(asyncio.wait(set(tasks))), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(ends, timeout=max(0.0, wait_s), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()


async def _stay(plan: Plan, door: Door, result: Run, visit: Visit) -> None:
    dice = random.Random(plan.seed * 1_000_003 + visit.number)
    mark = marks.mark(plan.seed, visit.number)
    traffic, epoch_s = result.traffic, result.epoch_s
    person = Person(door, traffic, visit, mark, dice, plan.patience_s, epoch_s, plan.from_the_door)
    visit.late_s = max(0.0, monotonic() - result.epoch_s - visit.due_s)
    result.inside += 1
    try:
        await plan.scenarios[visit.scenario].play(person)
        visit.outcome = "fine"
    except Exception as error:  # whatever went wrong is this person's result, and is told
        _note(visit, error)
    finally:
        result.inside -= 1
        visit.ended_s = monotonic() - result.epoch_s
        visit.asked = max((len(notes.turns) for _, notes in visit.heard), default=0)
    if plan.tidy:
        each = max(1, len(plan.due_s) // plan.compare)
        await settle(door, visit, compared=visit.number % each == 0, keep=plan.keep)


def _note(visit: Visit, error: Exception) -> None:
    match error:
        case ExceptionGroup():  # a scenario of several tasks: the first trouble is the cause of the others
            _note(visit, error.exceptions[0])
        case Refused():
            visit.outcome, visit.code, visit.retry_after_s = "refused", error.code, error.retry_after_s
        case Failed():
            visit.outcome, visit.code, visit.words = "failed", error.code, str(error)
        case TimeoutError():
            visit.outcome, visit.code, visit.words = "failed", "timeout", "nothing came for too long"
        case OSError() | WebSocketException():
            visit.outcome, visit.code, visit.words = (
                "failed",
                "connection",
                f"{type(error).__name__}: {error}",
            )
        case _:
            visit.outcome, visit.code = "failed", "client"
            visit.words = f"this client itself: {type(error).__name__}: {error}"


async def _watch(result: Run, said: Callable[[Count], None]) -> None:
    due_s = max(result.epoch_s, monotonic())
    await asyncio.sleep(due_s - monotonic())
    while True:
        now = monotonic()
        while due_s <= now:  # one for each that was missed, or a long stall would look like a single late one
            result.ticks.append(Tick(now - result.epoch_s, (now - due_s) * 1_000, process_time()))
            due_s += TICK_S
        said(result.count())
        await asyncio.sleep(due_s - monotonic())
