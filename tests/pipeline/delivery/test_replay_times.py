"""A replay keeps the recorded times, however long it is and wherever it is read from."""

import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise

import pytest

from pipeline.delivery.listener import LONGEST_PAUSE_MS, Listening, SessionListener
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.tailer import Tailer
from schemas.events import TurnRequested
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.archives import Tiers, Time, whole
from tests.support.eventlog.log_events import ENDED, batch, creation, delta, new
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
LONG = 10_000


async def long_story(log: EventLog, events: int) -> SessionId:
    """Events with gaps of 0 to 90 ms."""
    session, dice, ts = new_session_id(), random.Random(7), 1_000
    await log.append([creation(session)])
    for number, at in enumerate(range(2, events, 100), 1):
        made: list[NewEvent] = []
        for n in range(at, min(at + 100, events)):
            ts += dice.randrange(91)
            made.append(new(delta(n), ts_ms=ts))
        await log.append([batch(session, number, *made)])
    await log.append([batch(session, 1, new(ENDED, ts_ms=ts), producer="end", mode="seal")])
    return session


async def heard(
    log: EventLog, session: SessionId, time: Time, *, speed: float, work_ms: int = 0
) -> AsyncGenerator[tuple[int, Recorded], None]:
    """Each event with the time at which it came; taking it in costs the listener `work_ms`."""
    [head] = await log.heads([session])
    assert head is not None
    async with Tailer(log) as tailer:
        listener = SessionListener(log, tailer, time)
        wish = Listening(after=Seq(0), speed=speed, follow=False)
        async with aclosing(listener.listen(session, head, wish)) as batches:
            async for events in batches:
                for event in events:
                    yield time.ms, event
                    time.ms += work_ms
        assert listener.end == "session_ended"


@pytest.mark.parametrize(("speed", "work_ms"), [(1, 0), (1, 3), (4, 0)])
async def test_a_long_replay_does_not_drift(speed: float, work_ms: int) -> None:
    log, time = MemoryEventLog(), Time()
    session = await long_story(log, LONG)
    came = [one async for one in heard(log, session, time, speed=speed, work_ms=work_ms)]
    assert [event.seq for _, event in came] == list(range(1, LONG + 1))
    start, first = came[0]
    late = [ms - start - (event.ts_ms - first.ts_ms) / speed for ms, event in came]
    backlog = 100 * work_ms  # events of the same moment wait for each other; it must not add up
    assert min(late) >= -1
    assert max(late[:2_000]) <= backlog + 1
    assert max(late[-2_000:]) <= backlog + 1


@pytest.mark.parametrize("speed", [1, 4, 0])
async def test_a_replay_out_of_the_archive_keeps_the_same_times(tiers: Tiers, speed: float) -> None:
    session = await long_story(tiers.log, 300)
    said = await whole(tiers.log, session, audio=False)
    hot = [one async for one in heard(tiers.log, session, Time(), speed=speed)]
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    cold = [one async for one in heard(tiers.log, session, Time(), speed=speed)]
    assert cold == hot
    assert [event for _, event in cold] == said
    took = cold[-1][0] - cold[0][0]
    recorded = said[-1].ts_ms - said[0].ts_ms
    assert took == pytest.approx(recorded / speed if speed else 0, abs=1)


async def test_silence_between_turns_is_cut_short_and_nothing_else() -> None:
    log, time, session = MemoryEventLog(), Time(), new_session_id()
    wish = TurnRequested(kind="prompt", text="Well?", settings=SessionSettings())
    hour = 3_600_000
    said = [new(delta(0), ts_ms=5_000), new(delta(9), ts_ms=35_000), new(wish, ts_ms=hour)]
    await log.append([creation(session), batch(session, 1, *said)])
    await log.append([batch(session, 2, new(ENDED, ts_ms=hour + 10), mode="seal")])
    came = [ms async for ms, _ in heard(log, session, time, speed=1)]
    assert [after - before for before, after in pairwise(came)] == [4_000, 30_000, LONGEST_PAUSE_MS, 10]
