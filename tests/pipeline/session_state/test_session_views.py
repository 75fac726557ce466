"""A process keeps views of sessions for as long as they are asked for."""

from dataclasses import dataclass
from time import thread_time

import anyio
import pytest

from pipeline.eventlog.recorder import Recorder
from pipeline.session_state import session_views as module
from pipeline.session_state.session_views import Views, fold
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import STARTED, delta
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
NO_SEQ = Seq(0)


@dataclass
class Folds:
    """How often somebody began from nothing, and the time."""

    made: int = 0
    now_s: float = 0.0

    def make(self) -> "Count":
        self.made += 1
        return Count()


@dataclass
class Count:
    head: Seq = NO_SEQ
    events: int = 0

    def apply(self, recorded: Recorded) -> None:
        self.head, self.events = recorded.seq, self.events + 1


async def sessions(log: MemoryEventLog, count: int) -> list[SessionId]:
    names = [new_session_id() for _ in range(count)]
    async with Recorder(log) as recorder:
        for name in names:
            await recorder.post(name, STARTED, mode="create")
            await recorder.post(name, delta(0))
    return names


def views(
    log: MemoryEventLog, folds: Folds, size: int = 9, events: int = 99, event_bytes: int = 1 << 20
) -> Views[Count]:
    return Views(
        log, folds.make, size=size, events=events, event_bytes=event_bytes, clock_s=lambda: folds.now_s
    )


async def test_a_session_is_folded_once_while_it_is_asked_for() -> None:
    log, folds = MemoryEventLog(), Folds()
    [session] = await sessions(log, 1)
    known = views(log, folds)
    for folds.now_s in (0, 170, 340, 510):
        count, head = await known.get(session)
        assert (count.events, head.seq) == (2, 2)
    assert folds.made == 1


async def test_an_unused_view_is_forgotten_when_another_is_asked_for() -> None:
    log, folds = MemoryEventLog(), Folds()
    old, other, new = await sessions(log, 3)
    known = views(log, folds)
    await known.get(old)
    await known.get(other)
    folds.now_s = 100
    await known.get(other)
    folds.now_s = 200
    await known.get(new)
    await known.get(other)
    assert folds.made == 3
    count, _ = await known.get(old)
    assert (folds.made, count.events) == (4, 2), "from the log again, the same as before"


async def test_of_too_many_the_one_least_recently_asked_for_is_forgotten() -> None:
    log, folds = MemoryEventLog(), Folds()
    names = await sessions(log, 3)
    known = views(log, folds, size=2)
    for name in [*names[:2], names[0], names[2], names[0]]:
        await known.get(name)
    assert folds.made == 3
    await known.get(names[1])
    assert folds.made == 4


async def test_long_sessions_are_forgotten_sooner() -> None:
    log, folds = MemoryEventLog(), Folds()
    names = await sessions(log, 4)
    known = views(log, folds, events=3)  # the second of two events each, and one more session
    for name in [*names[:3], names[1], names[2]]:
        await known.get(name)
    assert folds.made == 3
    await known.get(names[3])
    assert [known.known(name) for name in names] == [0, 0, 2, 2]
    await known.get(names[0])
    assert folds.made == 5


async def test_sessions_of_few_large_events_are_forgotten_sooner() -> None:
    log, folds = MemoryEventLog(), Folds()
    names = await sessions(log, 4)
    read = await log.read(names[0], NO_SEQ)
    known = views(log, folds, event_bytes=sum(event.size for event in read))  # one, and one more session
    for name in names:
        await known.get(name)
    assert [known.known(name) for name in names] == [0, 0, 2, 2]


async def test_long_sessions_that_are_asked_for_at_once_are_forgotten_too() -> None:
    log = MemoryEventLog()
    names = await sessions(log, 4)
    known = views(log, Folds(), events=2)
    async with anyio.create_task_group() as asked:
        for name in names:
            asked.start_soon(known.get, name)
    assert sorted(known.known(name) for name in names) == [0, 0, 2, 2]


class Slow(Count):
    """Each event takes long, as some of an import do."""

    def apply(self, recorded: Recorded) -> None:
        super().apply(recorded)
        until_s = thread_time() + 0.01
        while thread_time() < until_s:
            pass


async def test_others_have_their_turn_while_a_long_past_is_folded() -> None:
    log, slow, turns = MemoryEventLog(), Slow(), 0
    [session] = await sessions(log, 1)
    async with Recorder(log) as recorder:
        await recorder.post(session, *(delta(number) for number in range(1, 30)))

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await fold(log, session, slow, upto=31)
        tasks.cancel_scope.cancel()
    assert slow.events == 31
    assert turns >= 10


@pytest.mark.parametrize("page", [500, 0])
async def test_a_view_for_somebody_else_is_a_copy(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Of a long past in a thread."""
    log, folds = MemoryEventLog(), Folds()
    [session] = await sessions(log, 1)
    known = views(log, folds)
    assert await known.copied(session) is None, "nobody has asked for it"
    kept, _ = await known.get(session)
    monkeypatch.setattr(module, "_PAGE", page)
    mine = await known.copied(session)
    monkeypatch.undo()
    assert mine == kept
    assert mine is not None
    mine.events = 100
    assert (await known.get(session))[0].events == 2
    assert folds.made == 1


async def test_events_read_for_two_at_once_are_folded_once() -> None:
    log, folds = MemoryEventLog(), Folds()
    [session] = await sessions(log, 1)
    known = views(log, folds)
    async with anyio.create_task_group() as both:
        for _ in range(2):
            both.start_soon(known.get, session)
    count, _ = await known.get(session)
    assert (folds.made, count.events) == (1, 2)


async def test_a_view_with_the_head_of_its_request_has_what_this_process_wrote_since() -> None:
    log, folds = MemoryEventLog(), Folds()
    [session] = await sessions(log, 1)
    known = views(log, folds)
    _, seen = await known.get(session)
    async with Recorder(log) as recorder:
        await recorder.post(session, delta(9))
        assert (await known.get(session, seen))[0].events == 2, "somebody else's is not asked for"
        known.wrote(session, (await recorder.post(session, delta(18))).last)
        count, head = await known.get(session, seen)
    assert (count.events, head) == (4, seen)


async def test_after_a_failover_a_session_is_folded_anew() -> None:
    """Other events may have come to the places of those that were lost."""
    log, folds = MemoryEventLog(), Folds()
    [session] = await sessions(log, 1)
    known = views(log, folds)
    await known.get(session)
    log.failovers += 1
    assert await known.copied(session) is None
    count, _ = await known.get(session)
    assert (folds.made, count.events) == (2, 2)
    assert await known.copied(session) == count
