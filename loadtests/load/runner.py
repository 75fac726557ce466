"""Open loop: people come when they are due, whether or not those before them have been answered."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Final

from websockets.exceptions import WebSocketException

from loadtests.load import marks
from loadtests.load.door import Door, Failed, Refused
from loadtests.load.person import Person, Traffic
from loadtests.load.scenarios.base import Scenario
from loadtests.load.system import Look, System
from loadtests.load.visit import Visit

TICK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before the run."""

    due_s: Sequence[float]
    """When people come, after the beginning."""
    names: Sequence[str]
    """The scenario of each."""
    scenarios: dict[str, Scenario]
    seconds: float
    grace_s: float
    """For those who are still there when nobody comes any more."""
    most: int
    """People at once; who comes then is turned away by this client, and counted."""
    seed: int
    patience_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """How it looked at one moment."""

    at_s: float
    people: int
    late_ms: float
    """By how much this client's own clock ran late: what is measured is no better than this."""
    cpu_s: float


@dataclass(slots=True)
class Run:
    """What came of it."""

    visits: list[Visit] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    epoch_s: float = 0.0
    """The run's beginning on the monotonic clock."""
    inside: int = 0
    most: int = 0
    """People at once."""
    seconds: float = 0.0


async def run(plan: Plan, door: Door, system: System, said: Callable[[Run, float], None]) -> Run:
    """`said` is called at every tick, with the seconds so far."""
    epoch_s = monotonic()
    result = Run(epoch_s=epoch_s)
    async with asyncio.TaskGroup() as beside:
        watching = beside.create_task(_watch(result, epoch_s, said))
        looking = beside.create_task(system.watch(result.looks, epoch_s))
        await _people(plan, door, result, epoch_s)
        result.seconds = monotonic() - epoch_s
        watching.cancel()
        looking.cancel()
    return result


async def _people(plan: Plan, door: Door, result: Run, epoch_s: float) -> None:
    """Return when the last has left, or when the grace is over: then the rest is sent away."""
    async with asyncio.TaskGroup() as people:
        tasks: set[asyncio.Task[None]] = set()
        for number, due_s in enumerate(plan.due_s):
            wait_s = epoch_s + due_s - monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            visit = Visit(number, plan.names[number], due_s)
            result.visits.append(visit)
            if len(tasks) >= plan.most:
                visit.outcome, visit.ended_s = "refused_by_us", due_s
                continue
            # The first step of the task comes after this loop's next pause: lateness is noted there.
            task = people.create_task(_stay(plan, door, result, visit, epoch_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        left_s = epoch_s + plan.seconds + plan.grace_s - monotonic()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, left_s))
        for task in tasks:
            task.cancel()


async def _stay(plan: Plan, door: Door, result: Run, visit: Visit, epoch_s: float) -> None:
    dice = random.Random(plan.seed * 1_000_003 + visit.number)
    mark = marks.mark(plan.seed, visit.number)
    person = Person(door, result.traffic, visit, mark, dice, plan.patience_s)
    person.epoch_s = epoch_s
    visit.late_s = max(0.0, monotonic() - epoch_s - visit.due_s)
    result.inside += 1
    result.most = max(result.most, result.inside)
    try:
        await plan.scenarios[visit.scenario].play(person)
        visit.outcome = "fine"
    except Exception as error:  # whatever went wrong is this person's result, and is told
        _note(visit, error)
    finally:
        result.inside -= 1
        visit.ended_s = monotonic() - epoch_s


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


async def _watch(result: Run, epoch_s: float, said: Callable[[Run, float], None]) -> None:
    due_s = epoch_s
    while True:
        now = monotonic()
        late_ms = max(0.0, now - due_s) * 1_000
        result.ticks.append(Tick(now - epoch_s, result.inside, late_ms, process_time()))
        said(result, now - epoch_s)
        due_s = max(due_s + TICK_S, now)
        await asyncio.sleep(due_s - monotonic())
