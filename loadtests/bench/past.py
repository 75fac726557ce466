"""Sessions with a past of any length, written straight into the log as if they had been talked to."""

import time
from collections.abc import Iterator
from typing import Final

from pipeline.eventlog.event_log import Batch, EventLog, Verdict
from schemas.events import (
    Fact,
    SessionStarted,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnRequested,
    TurnStarted,
)
from schemas.events.recorded import NewFact
from schemas.ids import SessionId, TurnId, created_ms, generation, new_session_id
from schemas.settings import SessionSettings

TURN: Final = 100
"""Facts of a turn; of the last one what is left."""
_AROUND: Final = 4
"""Facts of a turn beside its deltas."""
_TEXT: Final = " the old lighthouse"
_BATCHES: Final = 8
_PRODUCER: Final = "past.1"


async def session_of(log: EventLog, events: int, settings: SessionSettings) -> SessionId:
    """A live session with so many facts, and nothing left to do in it. `events`: at least 6."""
    session = new_session_id()
    now = time.time_ns() // 1_000_000
    started = NewFact(SessionStarted(settings=settings), now)
    mark = generation(created_ms(session))
    await _append(log, [Batch(session, "creator", 1, [started], mode="create", generation=mark)])
    waiting: list[Batch] = []
    for number, facts in enumerate(turns(events - 1, settings, now), 1):
        waiting.append(Batch(session, _PRODUCER, number, facts, epoch=1))
        if len(waiting) == _BATCHES:
            await _append(log, waiting)
            waiting = []
    await _append(log, waiting)
    return session


def turns(events: int, settings: SessionSettings, now_ms: int) -> Iterator[list[NewFact]]:
    """So many facts from number 2 on, turn by turn; a rest too short for a turn lengthens the last."""
    at = 2
    while events:
        size = TURN if events >= TURN + _AROUND + 1 else events
        yield [NewFact(fact, now_ms, TurnId(at)) for fact in _turn(size, settings)]
        at, events = at + size, events - size


def _turn(size: int, settings: SessionSettings) -> Iterator[Fact]:
    deltas = size - _AROUND
    if deltas < 1:
        raise ValueError(f"a turn of {size} facts says nothing")
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
