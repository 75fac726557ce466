"""Sessions with a past of any length, written straight into the log as if they had been talked to."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.client.api_connection import ApiConnection
from loadtests.report.tables import ComparisonRow, say
from pipeline.eventlog.event_log import Batch, EventLog, Verdict
from pipeline.eventlog.open_log import open_log
from schemas.events import (
    Event,
    SessionStarted,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnRequested,
    TurnStarted,
)
from schemas.events.recorded import NewEvent
from schemas.ids import SessionId, TurnId, created_ms, generation, new_session_id
from schemas.settings import AppSettings, SessionSettings

TURN: Final = 100
"""Events of a turn; of the last one what is left."""
_AROUND: Final = 4
"""Events of a turn beside its deltas."""
_TEXT: Final = " the old lighthouse"
_BATCHES: Final = 8
_PRODUCER: Final = "past.1"


async def session_of(log: EventLog, events: int, settings: SessionSettings) -> SessionId:
    """A live session with so many events, and nothing left to do in it. `events`: at least 6."""
    session = new_session_id()
    now = time.time_ns() // 1_000_000
    started = NewEvent(SessionStarted(settings=settings), now)
    mark = generation(created_ms(session))
    await _append(log, [Batch(session, "creator", 1, [started], mode="create", generation=mark)])
    waiting: list[Batch] = []
    for number, log_events in enumerate(turns(events - 1, settings, now), 1):
        waiting.append(Batch(session, _PRODUCER, number, log_events, epoch=1))
        if len(waiting) == _BATCHES:
            await _append(log, waiting)
            waiting = []
    await _append(log, waiting)
    return session


def turns(events: int, settings: SessionSettings, now_ms: int) -> Iterator[list[NewEvent]]:
    """So many events from number 2 on, turn by turn; a rest too short for a turn lengthens the last."""
    at = 2
    while events:
        size = TURN if events >= TURN + _AROUND + 1 else events
        yield [NewEvent(event, now_ms, TurnId(at)) for event in _turn(size, settings)]
        at, events = at + size, events - size


def _turn(size: int, settings: SessionSettings) -> Iterator[Event]:
    deltas = size - _AROUND
    if deltas < 1:
        raise ValueError(f"a turn of {size} events says nothing")
    yield TurnRequested(kind="prompt", text="Tell me more.", settings=settings)
    yield TurnStarted(epoch=1, node=_PRODUCER)
    for number in range(deltas):
        yield TextDelta(at=number * len(_TEXT), text=_TEXT)
    yield TextCompleted(chars=deltas * len(_TEXT), finish="stop", tokens_in=4, tokens_out=deltas)
    yield TurnCompleted(sentences=0, audio_ms=0)


async def _append(log: EventLog, batches: list[Batch]) -> None:
    verdicts = {outcome.verdict for outcome in await log.append(batches)} if batches else set[Verdict]()
    if verdicts - {Verdict.OK}:
        raise RuntimeError(f"the log answered {verdicts}")


SHORTEST: Final = 10
_AGAIN: Final = 6
"""Times that a session is come back to: two gateways share the port, and each must have seen it."""
_PAGE: Final = 8
"""Events of the page that is read: the shortest session has so many."""
_MS: Final = 1e6
STEPS: Final = {
    "first": "resume at the end, by gateways that have not seen the session",
    "again": "resume at the end",
    "append": "one command, appended",
    "page": f"the last {_PAGE} events, read",
    "turn": "question to first words, after a pause",
    "next": "question to first words, the one after it",
}


@dataclass
class SessionLength:
    """A session of so many events, round by round, in milliseconds; each round has a session of its own."""

    events: int
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


async def lengthening(url: str, home: Path, lengths: Sequence[int], rounds: int) -> list[SessionLength]:
    """All lengths in turns within each round, after round 0, which warms up with the shortest."""
    found = [SessionLength(events) for events in lengths]
    for number in range(rounds + 1):
        say(f"g: sessions of {lengths[0]} to {lengths[-1]} events, round {number} of {rounds}")
        for each in found if number else [SessionLength(SHORTEST), SessionLength(SHORTEST)]:
            session = await _written(home, each.events)
            await _visit(url, session, each)
    return found


async def _written(home: Path, events: int) -> SessionId:
    settings = AppSettings(home=home)
    log = open_log(settings.log, home)
    try:
        return await session_of(log, events, SessionSettings(speak=False, max_tokens=_PAGE))
    finally:
        await log.aclose()


async def _visit(url: str, session: SessionId, each: SessionLength) -> None:
    """Everything that is done to one session, in the order in which it would be."""
    async with ApiConnection(url) as client:
        each.taken["first"].append(await _resumed(client, session, each.events))
        again = [await _resumed(client, session, each.events) for _ in range(_AGAIN)]
        each.taken["again"].append(median(again))
        for step, call in (("append", _appended), ("page", _page_read)):
            await call(
                client, session, each.events
            )  # the connection is new: it may lead to the other gateway
            each.taken[step].append(median([await call(client, session, each.events) for _ in range(3)]))
        async with client.stream(session, after=each.events) as stream:
            for step in ("turn", "next"):
                asked = await stream.ask("Go on.")
                each.taken[step].append(((await stream.first("text.delta")).at_ns - asked) / _MS)
                await stream.first("turn.completed")


async def _resumed(client: ApiConnection, session: str, events: int) -> float:
    began = monotonic_ns()
    async with client.stream(session, after=events - 1) as stream:
        last = await stream.first("turn.completed")
        stream.cut()
    if last.event["seq"] != events:
        raise RuntimeError(f"a session of {events} events ends at {last.event['seq']}")
    return (last.at_ns - began) / _MS


async def _appended(client: ApiConnection, session: str, events: int) -> float:
    began = monotonic_ns()
    await client.post(f"/v1/sessions/{session}/control", {"action": "resume"})
    return (monotonic_ns() - began) / _MS


async def _page_read(client: ApiConnection, session: str, events: int) -> float:
    began = monotonic_ns()
    path = f"/v1/sessions/{session}/events?from={events - _PAGE}&follow=false"
    page = (await client.page(path)).raise_for_status().text
    if '"text.delta"' not in page:
        raise RuntimeError(f"no events in {page[:200]!r}")
    return (monotonic_ns() - began) / _MS


def length_rows(lengths: Sequence[SessionLength]) -> Iterable[MeasuredRow]:
    """The longest beside the shortest; the ones between are in the note."""
    shortest, longest = lengths[0], lengths[-1]
    for step, words in STEPS.items():
        between = ", ".join(f"{each.events:,}: {median(each.taken[step]):.1f}" for each in lengths)
        name, floor = f"{words}: {longest.events:,} events", f"{shortest.events} events"
        ours, base = longest.taken[step], shortest.taken[step]
        row = ComparisonRow(name, "ms", ours, base, floor, "flat", note=between)
        yield MeasuredRow.each(f"g.length.{longest.events}.{step}", row)
