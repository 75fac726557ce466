"""The tailer: every listener sees every event once, in order, whatever happens to pushes and connections."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence

import anyio
import anyio.lowlevel
import pytest

from pipeline.eventlog.event_log import EventLog, Head
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import AT_ONCE, Tailer
from schemas.errors import CursorAhead, LogUnavailable, SessionGone, SessionNotFound
from schemas.events.recorded import Recorded
from schemas.events.voice_events import InputAudio
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.faulty_logs import LossyLog
from tests.support.eventlog.log_events import ENDED, STARTED, batch, creation, delta, new, until
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


@pytest.fixture
async def session(log: MemoryEventLog) -> SessionId:
    created = new_session_id()
    await log.append([creation(created)])
    return created


@pytest.fixture
async def tailer(log: EventLog) -> AsyncGenerator[Tailer, None]:
    async with Tailer(log, watch_s=0.02) as opened:
        yield opened


async def heard(
    tailer: Tailer, session: SessionId, after: int = 0, *, until_seq: int | None = None, buffer: int = 256
) -> list[Recorded]:
    """Everything up to `until_seq` or the session's end."""
    events: list[Recorded] = []
    with anyio.fail_after(20):
        async with tailer.follow(session, Seq(after), buffer=buffer) as batches:
            async for some in batches:
                events += some
                if events[-1].seq == until_seq:
                    break
    return events


def seqs(events: list[Recorded]) -> list[int]:
    return [event.seq for event in events]


async def write(log: EventLog, session: SessionId, count: int, *, end: bool = True) -> None:
    for number in range(1, count + 1):
        await log.append([batch(session, number, delta(number))])
        await anyio.lowlevel.checkpoint()
    if end:
        await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])


async def test_a_listener_hears_what_was_and_then_what_is(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    await log.append([batch(session, 1, *(delta(at) for at in range(1_200)), producer="before")])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write, log, session, 50)
        assert seqs(await heard(tailer, session)) == list(range(1, 1_253))


async def test_recorded_sound_is_no_news_of_a_session_that_is_followed(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    sound = InputAudio(input="a", at_ms=0, ms=500, bytes=0, sha256="0" * 64)
    assert tailer.news(session) is None
    async with tailer.follow(session, Seq(0)) as batches:
        await log.append([batch(session, 1, new(sound))])
        await until(lambda: tailer.news(session) == 1)
        await log.append([batch(session, 2, new(sound), delta(1))])
        async for some in batches:
            if some[-1].seq == 4:
                break
        assert tailer.news(session) == 4
        await log.append([batch(session, 3, new(sound))])
        async for some in batches:
            if some[-1].seq == 5:
                break
        assert tailer.news(session) == 4
    assert tailer.news(session) is None


async def test_nothing_is_known_of_a_session_until_its_head_was_read(
    log: MemoryEventLog, tailer: Tailer, session: SessionId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever asks meanwhile would be told that the session has no events."""
    await write(log, session, 3, end=False)
    heads, seen = log.heads, list[Seq | None]()

    async def slow(sessions: Sequence[SessionId]) -> list[Head | None]:
        seen.append(tailer.news(session))
        return await heads(sessions)

    monkeypatch.setattr(log, "heads", slow)
    async with tailer.follow(session, Seq(0)):
        assert seen == [None]
        assert tailer.news(session) == 4


async def test_a_listener_begins_after_its_cursor(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    await write(log, session, 10)
    assert seqs(await heard(tailer, session, 7)) == [8, 9, 10, 11, 12]


async def test_a_session_that_is_over_ends_at_once(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    await write(log, session, 3)
    assert await heard(tailer, session, 5) == []


async def test_an_unknown_session_or_place_is_refused(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    with pytest.raises(SessionNotFound):
        await heard(tailer, new_session_id())
    with pytest.raises(CursorAhead):
        await heard(tailer, session, 2)
    await log.delete(session)
    with pytest.raises(SessionGone):
        await heard(tailer, session)


async def test_a_session_deleted_under_a_listener_is_gone(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    async with tailer.follow(session, Seq(1)) as batches:
        await log.delete(session)
        with anyio.fail_after(5), pytest.raises(SessionGone):
            await anext(batches)


async def test_a_quiet_session_is_told_however_often_the_watch_looks_at_it(
    tailer: Tailer, session: SessionId
) -> None:
    with anyio.fail_after(20):
        async with tailer.follow(session, Seq(1), idle_s=0.2) as batches:
            assert [await anext(batches) for _ in range(2)] == [[], []]


async def test_lost_pushes_are_read(log: MemoryEventLog, session: SessionId) -> None:
    lossy = LossyLog(log, 0.5)
    async with Tailer(lossy, watch_s=0.02) as tailer, anyio.create_task_group() as tasks:
        tasks.start_soon(write, log, session, 300)
        assert seqs(await heard(tailer, session)) == list(range(1, 303))
    assert lossy.lossy_subscription.lost > 50


async def test_a_lost_last_push_is_found_by_the_watch(log: MemoryEventLog, session: SessionId) -> None:
    async with Tailer(LossyLog(log, 1.0), watch_s=0.02) as tailer, anyio.create_task_group() as tasks:
        tasks.start_soon(write, log, session, 1)
        assert seqs(await heard(tailer, session)) == [1, 2, 3]


async def test_a_slow_listener_loses_its_queue_and_no_event(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    events: list[Recorded] = []
    with anyio.fail_after(20):
        async with tailer.follow(session, Seq(0), buffer=4) as batches:
            events += await anext(batches)
            await write(log, session, 100)
            async for some in batches:
                events += some
                await anyio.lowlevel.checkpoint()
    assert seqs(events) == list(range(1, 103))


async def test_a_slow_listener_holds_nobody_up(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    async with tailer.follow(session, Seq(0), buffer=4) as asleep:
        await anext(asleep)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, log, session, 100)
            assert len(await heard(tailer, session)) == 102


async def test_listeners_share_one_push_and_one_read(log: MemoryEventLog, session: SessionId) -> None:
    """Heads are looked at before the writing only: a listener reads what a head tells before the push."""
    lossy = LossyLog(log, 0.0)
    await log.append([batch(session, 1, *(delta(at) for at in range(100)), producer="before")])
    received = [list[Recorded]() for _ in range(20)]
    async with Tailer(lossy, watch_s=60) as tailer, anyio.create_task_group() as tasks:

        async def listen(events: list[Recorded]) -> None:
            async with tailer.follow(session, Seq(0)) as batches:
                async for some in batches:
                    events += some

        for events in received:
            tasks.start_soon(listen, events)
        await until(lambda: all(received) and lossy.looks == len(received) + 1)
        await write(log, session, 3)
    assert [seqs(events) for events in received] == [list(range(1, 106))] * 20
    assert lossy.reads == 1
    assert len({id(events[-1]) for events in received}) == 1


@pytest.mark.parametrize("come", ["before", "meanwhile"])
async def test_others_come_between_the_many_short_events_of_a_listener(
    log: MemoryEventLog, tailer: Tailer, session: SessionId, come: str
) -> None:
    told, turn = Counter[int](), 0

    async def others() -> None:
        nonlocal turn
        while True:
            await anyio.lowlevel.checkpoint()
            turn += 1

    many = batch(session, 1, *(delta(at) for at in range(100)))
    if come == "before":
        await log.append([many])
    async with anyio.create_task_group() as beside, tailer.follow(session, Seq(1)) as batches:
        beside.start_soon(others)
        if come == "meanwhile":
            await log.append([many])
        async for some in batches:
            told[turn] += len(some)
            if some[-1].seq == 101:
                break
        beside.cancel_scope.cancel()
    assert max(told.values()) <= AT_ONCE


async def test_audio_comes_with_the_events_for_those_who_want_it(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    await log.append([batch(session, 1, new(delta(0), audio=b"one"))])
    async with tailer.follow(session, Seq(1), audio=True) as batches:
        [first] = await anext(batches)
        await log.append([batch(session, 2, new(delta(1), audio=b"two"))])
        [second] = await anext(batches)
    assert (first.audio, second.audio) == (b"one", b"two")


async def test_a_log_that_lost_its_end_freezes_its_listeners(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    """The owner gives the lost events back; nobody is shown them twice."""
    seen: list[int] = []

    async def listen() -> None:
        async with tailer.follow(session, Seq(0)) as batches:
            async for some in batches:
                seen.extend(seqs(some))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await write(log, session, 10, end=False)
        await until(lambda: len(seen) == 11)
        lose_all_but(log, session, 4)
        for number in range(4, 11):
            await log.append([batch(session, number, delta(number))])
            await anyio.sleep(0.03)  # the watch looks now and then
            assert len(seen) == 11
        await log.append([batch(session, 11, delta(11)), batch(session, 12, ENDED, mode="seal")])
    assert seen == list(range(1, 14))


def lose_all_but(log: MemoryEventLog, session: SessionId, head: int) -> None:
    """Acts as a replica that takes over before it has everything."""
    known = log._sessions[session]
    del known.events[head:]
    known.seq = Seq(head)
    known.producers["p"] = (head - 1, Seq(head), Seq(head))


async def test_closing_the_tailer_ends_its_listeners(log: MemoryEventLog, session: SessionId) -> None:
    async with anyio.create_task_group() as tasks, Tailer(log) as tailer:
        outcome: list[type[Exception]] = []

        async def listen() -> None:
            try:
                await heard(tailer, session)
            except LogUnavailable as error:
                outcome.append(type(error))

        tasks.start_soon(listen)
        await until(lambda: bool(tailer._feeds))
    assert outcome == [LogUnavailable]


async def test_nothing_is_kept_of_a_session_nobody_follows(
    log: MemoryEventLog, tailer: Tailer, session: SessionId
) -> None:
    await write(log, session, 3)
    for _ in range(3):
        await heard(tailer, session)
    assert tailer._feeds == {}
    assert tailer._reads == {}


async def test_from_recorder_to_listener() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder, Tailer(log) as tailer, anyio.create_task_group() as tasks:
        await recorder.post(session, STARTED, mode="create")
        writer = recorder.open(session, producer="owner", epoch=1)

        async def speak() -> None:
            for at in range(200):
                await writer.record(delta(at))
            await writer.commit(ENDED)

        tasks.start_soon(speak)
        assert seqs(await heard(tailer, session)) == list(range(1, 203))
