"""What one process of this client does, and what it brings home: all that the report is made of."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.load import summary
from loadtests.load.audit import audit
from loadtests.load.door import Door
from loadtests.load.result import Failure, Judgement
from loadtests.load.runner import Count, Plan, Tick, run
from loadtests.load.visit import Sample, Visit


@dataclass(slots=True)
class Share:
    """Of one process. Its people have been judged, so that what they heard need not be kept."""

    visits: list[Visit]
    samples: list[Sample] = field(default_factory=list)
    judgement: Judgement = field(default_factory=lambda: summary.judgement([]))
    failures: list[Failure] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0
    died: str = ""
    """How its process ended before its time, and when; empty: it did not."""


async def take_part(
    plan: Plan, door: Door, said: Callable[[Count], None], stop: asyncio.Event, epoch_s: float
) -> Share:
    """The people of this process come, do what they do, and are judged."""
    done = await run(plan, door, said, stop, epoch_s)
    await audit(door, done.visits, plan.part(plan.compare), keep=plan.keep)
    share = Share(
        visits=done.visits,
        samples=summary.answered(done.visits, epoch_s),
        judgement=summary.judgement(done.visits),
        failures=summary.failures(done.visits),
        ticks=done.ticks,
        frames=done.traffic.frames,
        bytes=done.traffic.bytes,
        seconds=done.seconds,
    )
    for visit in done.visits:
        visit.heard.clear()
        visit.samples.clear()
    return share


def lost(plan: Plan, died: str, at_s: float) -> Share:
    """In place of what a process would have brought: its people are counted, also those yet to come."""
    people = [
        Visit(number, plan.names[number], plan.due_s[number], outcome="lost_with_process")
        for number in plan.numbers
    ]
    return Share(people, seconds=at_s, died=died)
