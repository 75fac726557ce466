"""When callers have left: sessions are read again from the log, compared with what was heard, and deleted."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Final

from websockets.exceptions import WebSocketException

from loadtests.client import marks, oracles
from loadtests.client.api_connection import ApiConnection, Failed, Refused
from loadtests.client.caller_record import CallerRecord, LatencySample
from loadtests.client.oracles import OracleFinding
from loadtests.client.session_connection import Traffic
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.report import load_summary
from loadtests.report.load_result import CallerFailure, Judgement
from loadtests.scenarios.scenario import Scenario

_AT_ONCE: Final = 8
_LIMIT_S: Final = 60.0


async def audit(connection: ApiConnection, visits: Sequence[CallerRecord], most: int, *, keep: bool) -> None:
    """All that is not settled yet, after the run so as not to slow it; `most` of them are compared."""
    heard = [visit for visit in visits if visit.heard and not visit.settled]
    compared = sum(visit.compared > 0 for visit in visits)
    chosen = random.Random(len(heard)).sample(heard, min(max(0, most - compared), len(heard)))
    picked = {visit.number for visit in chosen}
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(visit: CallerRecord) -> None:
        async with places:
            await settle(connection, visit, compared=visit.number in picked, keep=keep)

    async with asyncio.TaskGroup() as tasks:
        for visit in heard:
            if visit.number in picked or not keep:
                tasks.create_task(one(visit))


async def settle(connection: ApiConnection, visit: CallerRecord, *, compared: bool, keep: bool) -> None:
    """Compare one visit's sessions with the log if that is wished, and delete them unless they are kept."""
    for session in visit.sessions:
        if compared and session not in visit.deletions:
            visit.differing += await _compared(connection, visit, session)
            visit.compared += 1
        if not keep:
            await _delete(connection, visit, session)
    visit.settled = True


async def _delete(connection: ApiConnection, visit: CallerRecord, session: str) -> None:
    """Once more where that was begun and cut off before it was answered: it may be gone already."""
    again = session in visit.deletions
    visit.deletions.add(session)
    try:
        await connection.delete(session)
    except (Failed, Refused) as error:
        visit.undeleted += not (again and error.code == "session.gone")


async def _compared(connection: ApiConnection, visit: CallerRecord, session: str) -> list[OracleFinding]:
    try:
        async with asyncio.timeout(_LIMIT_S):
            log = await connection.log(session)
    except (Failed, Refused, TimeoutError) as error:
        return [
            OracleFinding(
                oracles.DIFFERING, f"the log could not be read again: {error or 'it took too long'}"
            )
        ]
    return [
        finding
        for where, notes in visit.heard
        if where == session
        for finding in oracles.against_log(notes, log)
    ]


TICK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Everything that is decided before the run. Of several processes each has it, and its own callers."""

    due_s: Sequence[float]
    """When callers come, after the beginning."""
    names: Sequence[str]
    """The scenario of each."""
    scenarios: dict[str, Scenario]
    seconds: float
    grace_s: float
    """For those who are still there when nobody comes any more."""
    most: int
    """Callers at once in all processes; who comes then is turned away by this client, and counted."""
    seed: int
    patience_s: float
    compare: int = 0
    """So many visits are compared with the log."""
    keep: bool = False
    """Sessions are not deleted."""
    tidy: bool = False
    """Sessions are compared and deleted when their caller has left, not after the run."""
    killing: bool = False
    """Parts of the system are killed: what that breaks is tried again for as long as somebody's patience."""
    from_arrival: bool = False
    """A caller's first question is due at its arrival: opening a session and connecting count as waiting."""
    process: int = 0
    processes: int = 1

    @property
    def again_s(self) -> float:
        """For so long is tried again what met a process that died."""
        return self.patience_s if self.killing else 0.0

    @property
    def numbers(self) -> range:
        """Of the callers of this process."""
        return range(self.process, len(self.due_s), self.processes)

    def part(self, whole: int) -> int:
        """This process's part of a number that is for all of them: the parts add up."""
        return whole * (self.process + 1) // self.processes - whole * self.process // self.processes


@dataclass(frozen=True, slots=True)
class ClockTick:
    """How it looked at one moment."""

    at_s: float
    late_ms: float
    """By how much this client's own clock ran late: what is measured is no better than this."""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far it is."""

    inside: int = 0
    fine: int = 0
    refused: int = 0
    failed: int = 0
    over: bool = False
    """All callers have left, and none comes."""


@dataclass(slots=True)
class ProcessShare:
    """State and result of one process. When its callers have been judged, what they heard is not kept."""

    visits: list[CallerRecord] = field(default_factory=list)
    epoch_s: float = 0.0
    """The run's beginning on the monotonic clock."""
    samples: list[LatencySample] = field(default_factory=list)
    judgement: Judgement = field(default_factory=lambda: load_summary.judgement([]))
    failures: list[CallerFailure] = field(default_factory=list)
    ticks: list[ClockTick] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    inside: int = 0
    seconds: float = 0.0
    died: str = ""
    """How its process ended before its time, and when; empty: it did not."""

    def count(self, *, over: bool = False) -> LoadProgress:
        ended = [visit.outcome for visit in self.visits if visit.ended_s is not None]
        refused = ended.count("refused") + ended.count("refused_by_us")
        return LoadProgress(self.inside, ended.count("fine"), refused, ended.count("failed"), over)


async def run(
    plan: LoadPlan,
    connection: ApiConnection,
    said: Callable[[LoadProgress], None],
    stop: asyncio.Event,
    epoch_s: float,
) -> ProcessShare:
    """From `epoch_s` on (monotonic). `said` is called at every tick but those that were missed.

    `stop`: nobody comes any more.
    """
    result = ProcessShare(epoch_s=epoch_s)
    async with asyncio.TaskGroup() as beside:
        watching = beside.create_task(_watch(result, said))
        await _people(plan, connection, result, stop)
        result.seconds = monotonic() - epoch_s
        watching.cancel()
    said(result.count(over=True))
    return result


async def _people(
    plan: LoadPlan, connection: ApiConnection, result: ProcessShare, stop: asyncio.Event
) -> None:
    """Return when the last has left, or when the grace is over: then the rest is sent away."""
    epoch_s, most = result.epoch_s, plan.part(plan.most)
    async with asyncio.TaskGroup() as people:
        tasks: set[asyncio.Task[None]] = set()
        for number in plan.numbers:
            due_s = plan.due_s[number]
            if await _stopped(stop, epoch_s + due_s - monotonic()):
                break
            visit = CallerRecord(number, plan.names[number], due_s)
            result.visits.append(visit)
            if len(tasks) >= most:
                visit.outcome, visit.ended_s = "refused_by_us", due_s
                continue
            # The first step of the task comes after this loop's next pause: lateness is noted there.
            task = people.create_task(_stay(plan, connection, result, visit))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await _left(tasks, stop, epoch_s + plan.seconds + plan.grace_s - monotonic())
        for task in tasks:
            task.cancel()


async def _stopped(stop: asyncio.Event, wait_s: float) -> bool:
    """Wait; tell whether the stop came first."""
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


async def _stay(plan: LoadPlan, connection: ApiConnection, result: ProcessShare, visit: CallerRecord) -> None:
    dice = random.Random(plan.seed * 1_000_003 + visit.number)
    mark = marks.mark(plan.seed, visit.number)
    traffic, epoch_s = result.traffic, result.epoch_s
    caller = VirtualCaller(
        connection, traffic, visit, mark, dice, plan.patience_s, epoch_s, plan.from_arrival
    )
    visit.late_s = max(0.0, monotonic() - result.epoch_s - visit.due_s)
    result.inside += 1
    try:
        await plan.scenarios[visit.scenario](caller)
        visit.outcome = "fine"
    except Exception as error:  # any error is this caller's result, and is told
        _note(visit, error)
    finally:
        result.inside -= 1
        visit.ended_s = monotonic() - result.epoch_s
        visit.asked = max((len(notes.turns) for _, notes in visit.heard), default=0)
    if plan.tidy:
        each = max(1, len(plan.due_s) // plan.compare)
        await settle(connection, visit, compared=visit.number % each == 0, keep=plan.keep)


def _note(visit: CallerRecord, error: Exception) -> None:
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


async def _watch(result: ProcessShare, said: Callable[[LoadProgress], None]) -> None:
    due_s = max(result.epoch_s, monotonic())
    await asyncio.sleep(due_s - monotonic())
    while True:
        now = monotonic()
        while due_s <= now:  # one for each that was missed, or a long stall would look like a single late one
            result.ticks.append(ClockTick(now - result.epoch_s, (now - due_s) * 1_000, process_time()))
            due_s += TICK_S
        said(result.count())
        await asyncio.sleep(due_s - monotonic())


async def take_part(
    plan: LoadPlan,
    connection: ApiConnection,
    said: Callable[[LoadProgress], None],
    stop: asyncio.Event,
    epoch_s: float,
) -> ProcessShare:
    """The callers of this process come, do what they do, and are judged."""
    share = await run(plan, connection, said, stop, epoch_s)
    await audit(connection, share.visits, plan.part(plan.compare), keep=plan.keep)
    share.samples = load_summary.answered(share.visits, epoch_s)
    share.judgement = load_summary.judgement(share.visits)
    share.failures = load_summary.failures(share.visits)
    for visit in share.visits:
        visit.heard.clear()
        visit.samples.clear()
    return share


def lost(plan: LoadPlan, died: str, at_s: float) -> ProcessShare:
    """In place of what a process would have brought: its callers are counted, also those yet to come."""
    people = [
        CallerRecord(number, plan.names[number], plan.due_s[number], outcome="lost_with_process")
        for number in plan.numbers
    ]
    return ProcessShare(people, seconds=at_s, died=died)
