"""Pages of events are bounded by bytes, whatever the sizes of events, and leave nothing out."""

from collections.abc import Awaitable, Callable
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.eventlog.event_log import PAGE
from pipeline.eventlog.redis import bounded_pages
from pipeline.eventlog.redis.bounded_pages import PAGE_BYTES, SOUND_BYTES, BoundedPages
from pipeline.eventlog.redis.codec import AUDIO_MAX
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.events import AudioChunk, TextDelta
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from tests.support.eventlog.archives import whole
from tests.support.eventlog.log_events import batch, creation

KILOBYTE = 1 << 10
SESSION = new_session_id()


@cache
def padding(size: int) -> bytes:
    return b"x" * size


def entry(seq: int, size: int) -> list[object]:
    fields = {b"t": b"text.delta", b"v": b"1", b"ts": b"1", b"n": b"2", b"d": b"\x80"}
    flat = [word for pair in fields.items() for word in pair]
    return [b"%d-0" % seq, [*flat, b"padding", padding(size)]]


@given(st.lists(st.tuples(st.integers(1, 700), st.sampled_from([10, 3_000, 40_000, 700_000])), max_size=6))
def test_each_page_is_small_and_together_they_are_everything(runs: list[tuple[int, int]]) -> None:
    sizes = [size for count, size in runs for _ in range(count)]
    pages, seen, sent = BoundedPages(), 0, 0
    while seen < len(sizes):
        asked = pages.count(SESSION, PAGE)
        assert 1 <= asked <= PAGE
        reply = [entry(seq + 1, sizes[seq]) for seq in range(seen, min(seen + asked, len(sizes)))]
        events = pages.decoded(SESSION, reply, asked=asked)
        assert [event.seq for event in events] == list(range(seen + 1, seen + 1 + len(events)))
        assert sum(sizes[seen : seen + len(events) - 1]) < PAGE_BYTES
        assert len(events) > 0
        sent += sum(sizes[seen : seen + len(reply)])
        seen += len(events)
    dense = [count * size for count, size in runs if size > 1_000]
    assert sent <= 3 * sum(sizes) + sum(min(one, PAGE * 700_000) for one in dense)


def test_a_session_of_small_events_is_read_in_whole_pages() -> None:
    pages = BoundedPages()
    for _ in range(3):
        assert pages.count(SESSION, PAGE) == PAGE
        assert len(pages.decoded(SESSION, [entry(n, 50) for n in range(1, 501)], asked=PAGE)) == PAGE


def test_a_page_ends_where_its_events_have_taken_long(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = count(step=8)
    monkeypatch.setattr(bounded_pages, "time", SimpleNamespace(thread_time=lambda: next(spent) / 1_000))
    assert len(BoundedPages().decoded(SESSION, [entry(n, 50) for n in range(1, 501)], asked=PAGE)) == 3


@pytest.mark.anyio
async def test_large_events_come_in_short_pages_from_the_log(log: RedisEventLog) -> None:
    session = new_session_id()
    await log.append([creation(session)])
    for number in range(1, 41):
        large = [NewEvent(TextDelta(at=0, text="x" * 100 * KILOBYTE), 1_000, TurnId(2)) for _ in range(2)]
        await log.append([batch(session, number, *large)])
    page = await log.read(session, Seq(0))
    assert len(page) < 20
    assert len((await log.tail(session, Seq(0))).events) < 20
    assert [event.seq for event in await whole(log, session, limit=PAGE)] == list(range(1, 82))


def sizes_of_replies(log: RedisEventLog, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of what the log's server answers to reads from now on."""
    replies: list[int] = []
    call = log._call

    async def counted(*commands: Command, **more: Any) -> list[Any]:
        found = await call(*commands, **more)
        if commands[-1][0] == "XRANGE":
            replies.append(sum(sum(map(len, entry[1])) for entry in found[-1]))
        return found

    monkeypatch.setattr(log, "_call", counted)
    return replies


@pytest.mark.anyio
@pytest.mark.parametrize("read", [RedisEventLog.read, RedisEventLog.tail])
async def test_of_many_readers_one_asks_for_more_than_fits(
    log: RedisEventLog,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[RedisEventLog, SessionId, Seq], Awaitable[object]],
) -> None:
    session = new_session_id()
    await log.append([creation(session)])
    for number in range(1, 31):
        large = [NewEvent(TextDelta(at=0, text="x" * 10 * KILOBYTE), 1_000, TurnId(2)) for _ in range(2)]
        await log.append([batch(session, number, *large)])
    replies = sizes_of_replies(log, monkeypatch)
    async with anyio.create_task_group() as readers:
        for at in range(10):
            readers.start_soon(read, log, session, Seq(at))
    assert len(replies) == 10
    assert sum(size > 2 * PAGE_BYTES for size in replies) == 1


@pytest.mark.anyio
async def test_a_reader_that_has_waited_for_another_one_asks_for_a_few(
    log: RedisEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = new_session_id()
    await log.append([creation(session)])
    for number in range(1, 11):
        await log.append([batch(session, number, NewEvent(TextDelta(at=0, text="x"), 1_000, TurnId(2)))])
    monkeypatch.setattr(bounded_pages, "_WAIT_S", 0.0)
    async with log._pages.turn(session, PAGE) as first:
        assert first == PAGE
        assert [event.seq for event in await log.read(session, Seq(0))] == [1, 2, 3, 4]
        assert [event.seq for event in (await log.tail(session, Seq(4))).events] == [5, 6, 7, 8]
    assert len(await log.read(session, Seq(0))) == 11


@pytest.mark.anyio
async def test_much_sound_comes_in_short_pages_and_is_asked_for_in_no_longer_ones(
    log: RedisEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = new_session_id()
    await log.append([creation(session)])
    chunk = AudioChunk(sentence=0, chunk=0, at_ms=0, ms=20, bytes=AUDIO_MAX)
    for number in range(1, 31):
        loud = NewEvent(chunk, 1_000, TurnId(2), audio=padding(AUDIO_MAX))
        silent = NewEvent(TextDelta(at=0, text="x"), 1_000, TurnId(2))
        await log.append([batch(session, number, loud, silent)])
    replies = sizes_of_replies(log, monkeypatch)
    assert max(map(len, [await log.read(session, Seq(at), audio=True) for at in (0, 9, 30)])) < 20
    assert max(replies) <= SOUND_BYTES + AUDIO_MAX
    monkeypatch.undo()
    events = await whole(log, session, limit=PAGE)
    assert [event.seq for event in events] == list(range(1, 62))
    assert sum(len(event.audio or b"") for event in events) == 30 * AUDIO_MAX
