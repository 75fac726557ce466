"""The list of sessions: whose they are, newest first, also made anew from the log."""

from collections.abc import AsyncGenerator
from itertools import accumulate, count
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from pipeline.background.answer_search import LONGEST_S, AnswerSearch
from pipeline.background.projection_reader import ProjectionReader
from pipeline.background.redis.redis_projections import RedisProjections, ask_for_rebuild
from pipeline.background.session_directory import (
    Directory,
    DirectoryProjection,
    DirectoryRow,
    unpacked,
)
from pipeline.eventlog.recorder import mode_of
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors import CursorMalformed, LogLost
from schemas.events import (
    Event,
    Kind,
    MemberAdded,
    MemberRemoved,
    SessionEnded,
    SessionRenamed,
    SessionStarted,
    TurnCompleted,
    TurnRequested,
)
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import SessionSettings
from tests.support.clocks import Hours
from tests.support.eventlog.log_events import batch, delta, new, raw
from tests.support.worker_effects import SCANTY

pytestmark = pytest.mark.anyio
ASKED = TurnRequested(kind="prompt", text="Why?", settings=SessionSettings())


async def started(log: RedisEventLog, ts_ms: int, principal: str = "", kind: Kind = "session") -> SessionId:
    session = new_session_id()
    event = SessionStarted(
        settings=SessionSettings(), kind=kind, principal=principal, title=f"{kind} of {ts_ms}"
    )
    await log.append([batch(session, 1, new(event, ts_ms=ts_ms), producer="creator", mode="create")])
    return session


async def record(log: RedisEventLog, session: SessionId, *events: Event, number: int = 1) -> None:
    [outcome] = await log.append([batch(session, number, *events, mode=mode_of(events))])
    assert outcome.first > 1


@pytest.fixture
def directory(log: RedisEventLog) -> Directory:
    return Directory(log)


@pytest.fixture
async def reader(log: RedisEventLog) -> AsyncGenerator[ProjectionReader, None]:
    """Steps are taken by the test; before each one the leases are renewed."""
    port = RedisProjections(log)
    projection = DirectoryProjection(log, Directory(log))
    yield ProjectionReader(projection, port, SCANTY, reader="me", clock_s=count(0.0, 10.0).__next__)
    await port.aclose()


async def test_the_list_is_newest_first_and_of_one_owner(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    mine = [await started(log, 1_000 + number, "ada") for number in range(5)]
    await started(log, 1_002, "bob")
    story = await started(log, 2_000, "ada", "story")
    await reader.step()
    listed = await directory.list("ada")
    assert [one.session_id for one in listed.sessions] == [story, *reversed(mine)]
    assert listed.next is None
    assert [one.title for one in (await directory.list("bob")).sessions] == ["session of 1002"]
    assert [one.session_id for one in (await directory.list("ada", kinds=("story",))).sessions] == [story]
    both = (await directory.list("ada", kinds=("story", "session"))).sessions
    assert {one.kind for one in both} == {"story", "session"}
    assert (await directory.list("")).sessions == ()


async def test_pages_show_every_session_once_also_those_of_one_millisecond(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    sessions = {await started(log, 1_000 + number // 9) for number in range(30)}
    await reader.step()
    shown: list[str] = []
    before = None
    while True:
        page = await directory.list("", before=before, limit=4)
        assert len(page.sessions) <= 4
        shown += [one.session_id for one in page.sessions]
        if (before := page.next) is None:
            break
    assert len(shown) == 30
    assert set(shown) == sessions
    assert [session async for session in directory.all_of("")] == shown


@pytest.mark.parametrize("cursor", ["", "7", "x.y", "-1.0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f", "7.7"])
async def test_a_cursor_that_is_none_is_refused(directory: Directory, cursor: str) -> None:
    with pytest.raises(CursorMalformed):
        await directory.list("", before=cursor)


async def test_turns_ends_and_deletions_show(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    kept, ended, gone = [await started(log, 1_000 + number) for number in range(3)]
    await record(log, kept, ASKED, TurnCompleted(audio_ms=0, sentences=0))
    await record(log, ended, SessionEnded(reason="user"))
    await reader.step()
    await log.delete(gone)
    await reader.step()
    found = {one.session_id: one for one in (await directory.list("")).sessions}
    assert set(found) == {kept, ended}
    assert (found[kept].turns, found[kept].state) == (1, "live")
    assert (found[ended].turns, found[ended].state) == (0, "sealed")
    assert found[kept].created_ms == 1_000
    assert found[kept].latest_ms > 1_000


async def test_it_can_be_made_anew_although_the_pointers_are_gone(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader, home: Path
) -> None:
    kept, ended, gone = [await started(log, 1_000 + number) for number in range(3)]
    await record(log, kept, ASKED)
    await record(log, ended, SessionEnded(reason="user"))
    await reader.step()
    await log.delete(gone)
    with raw(home) as server:
        for p in range(16):
            server.xtrim(f"ev:{{p{p}}}:t", maxlen=0)
            server.hdel(f"ev:{{p{p}}}:d", kept)
    assert {one.session_id for one in (await directory.list("")).sessions} == {ended, gone}
    assert await ask_for_rebuild(log, "directory")
    await reader.step()
    listed = (await directory.list("")).sessions
    assert [(one.session_id, one.turns, one.state) for one in listed] == [
        (ended, 0, "sealed"),
        (kept, 1, "live"),
    ]


async def test_events_that_come_during_a_rebuild_do_not_count_twice(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    session = await started(log, 1_000)
    await reader.step()
    assert await ask_for_rebuild(log, "directory")
    await record(log, session, ASKED, ASKED)  # its pointers are there; the scan counts the events as well
    await reader.step()
    await reader.step()
    [listed] = (await directory.list("")).sessions
    assert listed.turns == 2


async def test_a_member_of_a_thread_sees_it_and_does_not_own_it(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    thread = await started(log, 1_000, "ada", "thread")
    await record(log, thread, MemberAdded(principal="bob"), SessionRenamed(title="The lamp"))
    await reader.step()
    assert [one.title for one in (await directory.list("bob")).sessions] == ["The lamp"]
    assert [session async for session in directory.all_of("bob")] == []
    assert [session async for session in directory.all_of("ada")] == [thread]
    await record(log, thread, MemberRemoved(principal="bob"), number=2)
    await reader.step()
    assert (await directory.list("bob")).sessions == ()


async def test_threads_are_found_by_the_words_of_their_titles_and_questions(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    settings = SessionSettings()
    lamp, sea = [await started(log, 1_000 + number, "ada", "thread") for number in range(2)]
    for thread, question in ((lamp, "How bright is the LAMP?"), (sea, "Why is the sea salty?")):
        await record(log, thread, TurnRequested(kind="prompt", text=question, settings=settings))
        for number in range(2, 14):
            filler = TurnRequested(kind="prompt", text=f"And {number}? " * 40, settings=settings)
            await record(log, thread, filler, number=number)
        further = TurnRequested(kind="prompt", text="Go on, moon.", settings=settings, continues=14)
        await record(log, thread, further, number=14)
    await reader.step()
    for words, found in (("bright lamp", [lamp]), ("salty", [sea]), ("is the", [sea, lamp]), ("moon", [])):
        listed = (await directory.list("ada", kinds=("thread",), query=words)).sessions
        assert [one.session_id for one in listed] == found, words
    page = await directory.list("ada", kinds=("thread",), query="is", limit=1)
    rest = await directory.list("ada", kinds=("thread",), query="is", limit=1, before=page.next)
    assert [one.session_id for one in (*page.sessions, *rest.sessions)] == [sea, lamp]


async def answered(log: RedisEventLog, ts_ms: int, *deltas: str, principal: str = "ada") -> SessionId:
    """A thread whose answer was written in these pieces."""
    thread = await started(log, ts_ms, principal, "thread")
    at = accumulate(map(len, deltas), initial=0)
    await record(log, thread, ASKED, *(delta(place, text) for place, text in zip(at, deltas, strict=False)))
    return thread


async def test_answers_are_searched_where_that_is_asked_for(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    whale = await answered(log, 1_000, "A blue wh", "ale is", " long.")
    far = await answered(log, 1_001, *["and on "] * 197, "the OCE", "AN")
    await answered(log, 1_002, "A whale.", principal="bob")
    await started(log, 1_003, "ada", "collection")
    await reader.step()

    async def found(words: str) -> list[str]:
        search = AnswerSearch(log, Hours())
        return [one.session_id for one in (await directory.list("ada", query=words, answers=search)).sessions]

    assert (await directory.list("ada", query="whale")).sessions == ()
    assert await found("WHALE long") == [whale]
    assert await found("thread whale") == [whale], "a word of the title and one of the answer"
    assert await found("ocean") == [far], "a word on two pages of events"
    assert await found("whale ocean") == []


async def test_a_search_of_answers_ends_in_time_and_goes_on_where_it_ended(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    threads = [await answered(log, 1_000 + number, "a whale") for number in range(3)]
    await reader.step()

    class SlowLog:
        async def read(self, session: SessionId, after: Seq, *, limit: int) -> list[Recorded]:
            clock.s += 1.5
            return await log.read(session, after, limit=limit)

    pages, before = list[list[str]](), None
    while len(pages) < 3:
        clock = Hours()
        search = AnswerSearch(cast(Any, SlowLog()), clock)
        page = await directory.list("ada", query="whale", before=before, answers=search)
        pages.append([one.session_id for one in page.sessions])
        before = page.next
    assert pages == [[threads[2]], [threads[1]], [threads[0]]]
    assert (await directory.list("ada", query="whale", before=before)).sessions == ()


async def test_a_session_that_takes_long_is_left(log: RedisEventLog) -> None:
    """Else the next search waits: in an import each event may be a page."""
    clock, session = Hours(), await answered(log, 1_000, *["and on "] * 20, "a whale")

    class SlowLog:
        async def read(self, session: SessionId, after: Seq, *, limit: int) -> list[Recorded]:
            clock.s += 0.5
            return await log.read(session, after, limit=1)

    assert not await AnswerSearch(cast(Any, SlowLog()), clock).finds(session, ["whale"])
    assert clock.s == 2 * LONGEST_S


async def test_a_session_of_which_a_part_is_lost_holds_no_search_up(
    log: RedisEventLog, directory: Directory, reader: ProjectionReader
) -> None:
    whole, damaged = [await answered(log, 1_000 + number, "a whale") for number in range(2)]
    await reader.step()

    class DamagedLog:
        async def read(self, session: SessionId, after: Seq, *, limit: int) -> list[Recorded]:
            if session == damaged:
                raise LogLost("a part is missing")
            return await log.read(session, after, limit=limit)

    search = AnswerSearch(cast(Any, DamagedLog()), Hours())
    page = await directory.list("ada", query="whale", answers=search)
    assert [one.session_id for one in page.sessions] == [whole]


def test_a_row_remembers_who_has_asked_until_there_are_too_many() -> None:
    """By it, an erasure finds the threads of others in which somebody has asked."""

    def asked(row: DirectoryRow, seq: int, by: str) -> DirectoryRow:
        return row.after("turn.requested", seq, seq, {"text": "?", "by": by})

    row = DirectoryRow("thread", "", "anna", None, 1, 1, guests=())
    row = row.after("member.added", 2, 2, {"principal": "bob"}).after(
        "member.removed", 3, 3, {"principal": "bob"}
    )
    row = asked(asked(row, 4, "carl"), 5, "")
    assert (row.members, row.guests) == ((), ("bob", "carl"))
    assert [row.may_name(name) for name in ("bob", "carl", "dora", "anna")] == [True, True, False, False]
    for n in range(300):  # on an open server clients make names up
        row = asked(row, 6 + n, f"visitor {n}")
    assert row.guests is None
    assert row.may_name("dora")
    old = orjson.loads(row.written(new_session_id())[0].arguments[1])
    del old["guests"]
    assert unpacked(orjson.dumps(old)).guests is None
