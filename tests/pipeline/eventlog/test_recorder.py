"""The recorder: in order, in groups, once, and honest about what did not work."""

import anyio
import pytest

from pipeline.eventlog.event_log import Outcome, Verdict
from pipeline.eventlog.recorder import WRITERS, Recorder
from pipeline.eventlog.redis.codec import AUDIO_MAX
from schemas.errors import (
    Conflict,
    Fenced,
    InputTooLong,
    LogUnavailable,
    SessionAlreadyEnded,
    SessionFull,
    SessionGone,
    SessionNotFound,
)
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import ENDED, STARTED, delta, offsets
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


async def test_events_lie_in_the_log_in_the_order_of_their_recording(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    writer = recorder.open(session, producer="owner", epoch=1)
    for at in range(500):
        await writer.record(delta(at))
    await writer.drain()
    assert await offsets(log, session) == list(range(500))


async def test_a_commit_tells_where_its_events_are(recorder: Recorder, session: SessionId) -> None:
    writer = recorder.open(session, producer="owner", epoch=1)
    await writer.record(delta(0), delta(1))
    assert await writer.commit(delta(2), delta(3)) == Outcome(Verdict.OK, Seq(4), Seq(5))
    assert await writer.commit(delta(4)) == Outcome(Verdict.OK, Seq(6), Seq(6))


async def test_audio_belongs_to_the_last_event(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    await recorder.open(session, producer="owner").commit(delta(0), delta(1), audio=b"sound")
    events = await log.read(session, Seq(1), audio=True)
    assert [event.audio for event in events] == [None, b"sound"]


async def test_a_command_sent_twice_with_one_key_is_one_event(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    first = await recorder.post(session, delta(0), key="ask once")
    await recorder.post(session, delta(1))
    again = await recorder.post(session, delta(0), key="ask once")
    assert (first.verdict, again.verdict) == (Verdict.OK, Verdict.DUP)
    assert (again.first, again.last) == (first.first, first.last)
    assert await offsets(log, session) == [0, 1]


async def test_nothing_can_be_said_after_the_end(recorder: Recorder, session: SessionId) -> None:
    writer = recorder.open(session, producer="owner", epoch=1)
    await writer.record(delta(0))
    await writer.record(ENDED)
    with pytest.raises(SessionAlreadyEnded):
        await writer.commit(delta(1))
    with pytest.raises(SessionAlreadyEnded):
        await recorder.post(session, delta(2))


async def test_a_command_is_refused_for_what_it_is(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    with pytest.raises(SessionNotFound):
        await recorder.post(new_session_id(), delta(0))
    with pytest.raises(Conflict):
        await recorder.post(session, STARTED, mode="create")
    await log.delete(session)
    with pytest.raises(SessionGone):
        await recorder.post(session, delta(0))


async def test_a_fenced_writer_stops_and_says_so_ever_after(recorder: Recorder, session: SessionId) -> None:
    old = recorder.open(session, producer="old", epoch=1)
    await old.commit(delta(0))
    await recorder.open(session, producer="new", epoch=2).commit(delta(1))
    await old.record(delta(2))
    with anyio.fail_after(5):
        await old.stopped.wait()
    assert isinstance(old.failed, Fenced)
    with pytest.raises(Fenced):
        await old.record(delta(3))
    with pytest.raises(Fenced):
        await old.drain()


async def test_one_writer_per_producer_and_epoch(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    writer = recorder.open(session, producer="owner", epoch=1)
    await writer.commit(delta(0))
    assert recorder.open(session, producer="owner", epoch=1) is writer
    with pytest.raises(InputTooLong):
        await writer.commit(delta(1), audio=bytes(AUDIO_MAX + 1))
    await recorder.open(session, producer="owner", epoch=1).commit(delta(2))
    assert await offsets(log, session) == [0, 2]


async def test_a_pen_that_was_put_away_is_followed_by_one_that_is_not_called_stale(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    first = recorder.open(session, producer="heard")
    await first.record(delta(0))
    recorder.put_away(session, producer="heard")
    assert recorder.open(session, producer="heard") is first, "it has something to write"
    recorder.put_away(session, producer="heard")
    await first.drain()
    second = recorder.open(session, producer="heard")
    await second.commit(delta(1))
    assert second is not first
    assert await offsets(log, session) == [0, 1]


async def test_of_many_pens_those_of_owners_are_not_forgotten(
    log: MemoryEventLog, recorder: Recorder, session: SessionId
) -> None:
    mine = recorder.open(session, producer="owner", epoch=1)
    await mine.commit(delta(0))
    for number in range(WRITERS):
        recorder.open(new_session_id(), producer=f"heard.{number}")
    assert recorder.open(session, producer="owner", epoch=1) is mine
    await mine.commit(delta(1))
    assert await offsets(log, session) == [0, 1]


async def test_a_pen_that_is_put_away_while_the_log_refuses_it_is_gone(
    recorder: Recorder, session: SessionId
) -> None:
    await recorder.open(session, producer="new", epoch=2).commit(delta(0))
    old = recorder.open(session, producer="old", epoch=1)
    await old.record(delta(1))
    recorder.put_away(session, producer="old", epoch=1)
    assert recorder.producers(session) == ["new", "old"]
    with anyio.fail_after(5):
        await old.stopped.wait()
    assert recorder.producers(session) == ["new"]


async def test_a_full_session_can_still_be_ended() -> None:
    log, session = MemoryEventLog(max_session_bytes=2_000), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, mode="create")
        writer = recorder.open(session, producer="owner", epoch=1)
        with pytest.raises(SessionFull):
            await writer.commit(delta(0), audio=bytes(2_000))
        await recorder.open(session, producer="owner", epoch=1).commit(ENDED)
    [head] = await log.heads([session])
    assert head is not None
    assert head.state == "sealed"


async def test_closing_says_everything_first() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, mode="create")
        writer = recorder.open(session, producer="owner", epoch=1)
        for at in range(300):
            await writer.record(delta(at))
    assert await offsets(log, session) == list(range(300))
    with pytest.raises(LogUnavailable):
        await writer.record(delta(300))


async def test_time_is_the_recorder_s_clock() -> None:
    log, session = MemoryEventLog(), new_session_id()
    clock = iter([5_000, 4_000, 6_000])
    async with Recorder(log, clock_ms=lambda: next(clock)) as recorder:
        await recorder.post(session, STARTED, mode="create")
        for at in range(2):
            await recorder.post(session, delta(at))
    assert [event.ts_ms for event in await log.read(session, Seq(0))] == [5_000, 5_000, 6_000]
