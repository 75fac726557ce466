"""A process keeps events to give back for the length of an outage, and not until erased ones come back."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.eventlog.event_log import TOMBSTONE_S, Batch, Head, Outcome, Verdict
from pipeline.eventlog.producer_queue import weight
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import failover
from pipeline.eventlog.redis.failover import (
    LONGEST_S,
    RETAINED_BYTES,
    FailoverReplayer,
    Given,
    UnreplicatedTail,
)
from pipeline.eventlog.redis.redis_log import NotCertain
from schemas.errors import LogUnavailable
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import STARTED, batch, creation, delta, new
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually

SESSION = new_session_id()
RETAIN_S = 5.0


def kept(tail: UnreplicatedTail, session: SessionId, number: int, now_s: float, *, size: int = 0) -> Batch:
    """One event, which the log has put at place `number`."""
    made = batch(session, number, new(delta(0), audio=bytes(size)))
    tail.keep(made, Outcome(Verdict.OK, Seq(number), Seq(number)), now_s)
    tail.let_go(session, now_s)
    return made


def numbers(tail: UnreplicatedTail, session: SessionId) -> list[int]:
    return [one.number for one in tail.beyond(session, Seq(0))]


def test_the_tail_is_given_back_from_the_head_on_and_at_its_old_place() -> None:
    tail = UnreplicatedTail(RETAIN_S)
    for number in range(1, 5):
        place = Outcome(Verdict.OK, Seq(2 * number - 1), Seq(2 * number))
        tail.keep(batch(SESSION, number, delta(0), delta(1)), place, now_s=float(number))
    assert [(one.number, one.expected) for one in tail.beyond(SESSION, Seq(4))] == [(3, 4), (4, 6)]
    assert tail.beyond(new_session_id(), Seq(0)) == []


def test_a_client_that_writes_lets_go_of_what_is_old() -> None:
    tail = UnreplicatedTail(RETAIN_S)
    for number in range(1, 20):
        kept(tail, SESSION, number, float(number))
    assert numbers(tail, SESSION) == list(range(14, 20))


def test_a_server_that_works_is_no_reason_to_forget_what_another_one_is_owed() -> None:
    tail, other = UnreplicatedTail(RETAIN_S), new_session_id()
    kept(tail, SESSION, 1, 0.0)
    for number in range(1, 100):
        kept(tail, other, number, float(number))
    assert numbers(tail, SESSION) == [1]


def test_nothing_is_kept_for_as_long_as_a_tombstone_lasts() -> None:
    tail = UnreplicatedTail(RETAIN_S)
    kept(tail, SESSION, 1, 0.0)
    tail.renew(SESSION, LONGEST_S)
    assert tail.let_go_of_the_oldest(LONGEST_S) == 0
    assert tail.let_go_of_the_oldest(LONGEST_S + 1) == 1
    assert tail.sessions == []
    assert LONGEST_S < TOMBSTONE_S


STEPS = st.tuples(
    st.sampled_from(["keep"] * 8 + ["let go", "erase", "renew", "oldest"]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.5, 3.0, 6.0, 30.0, LONGEST_S / 2]),
    st.sampled_from([0, 0, RETAINED_BYTES // 5]),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_the_tail_keeps_as_much_as_a_list_of_everything_says(
    story: list[tuple[str, int, float, int]],
) -> None:
    tail, names, now = UnreplicatedTail(RETAIN_S), [new_session_id() for _ in range(4)], 0.0
    model: list[dict[str, float]] = []
    for step, whose, pause, size in story:
        now += pause
        if step == "keep":
            made = kept(tail, names[whose], len(model) + 1, now, size=size)
            model.append({"whose": whose, "since": now, "at": now, "weight": weight(made.events)})
            while sum(one["weight"] for one in model) > RETAINED_BYTES:
                del model[0]
            model = [one for one in model if one["whose"] != whose or now - one["at"] <= RETAIN_S]
        elif step == "let go":
            tail.let_go(names[whose], now)
            model = [one for one in model if one["whose"] != whose or now - one["at"] <= RETAIN_S]
        elif step == "erase":
            tail.erase(names[whose])
            model = [one for one in model if one["whose"] != whose]
        elif step == "renew":
            tail.renew(names[whose], now)
            for one in model:
                one["at"] = now if one["whose"] == whose else one["at"]
        else:
            tail.let_go_of_the_oldest(now)
            model = [one for one in model if now - one["since"] <= LONGEST_S]
        last = {whose: max(one["at"] for one in model if one["whose"] == whose) for whose in owners(model)}
        assert {name: len(numbers(tail, name)) for name in tail.sessions} == {
            names[int(whose)]: sum(one["whose"] == whose for one in model) for whose in last
        }
        assert set(tail.idle(now)) == {names[int(w)] for w, at in last.items() if now - at > RETAIN_S}


def owners(model: list[dict[str, float]]) -> set[float]:
    return {one["whose"] for one in model}


class Log(MemoryEventLog):
    """A log that is away, or cannot be certain of what it deletes, while the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.alone = False
        self.silent = False
        self.asked = 0

    async def attend(self) -> None:
        if self.away:
            raise LogUnavailable("The log does not answer.")

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        self.asked += 1
        return await super().heads(sessions)

    async def delete(self, session: SessionId) -> None:
        if self.silent:
            raise LogUnavailable("The log does not answer.")
        await super().delete(session)
        if self.alone:
            raise NotCertain("Too few replicas of the log answer.")

    def lose(self, session: SessionId) -> None:
        """As if a server had come in the log's place that never knew of the session."""
        del self._sessions[session]


class Process:
    """One that has written one session, and whose time the test tells."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.log, self.tail, self.session = Log(), UnreplicatedTail(RETAIN_S), new_session_id()
        self.replayer = FailoverReplayer(self.log, self.tail, lambda: self.now_s)

    async def write(self) -> None:
        for made in (creation(self.session), batch(self.session, 1, delta(0), producer="owner", epoch=1)):
            [outcome] = await self.log.append([made])
            self.tail.keep(made, outcome, self.now_s)

    async def wait(self, seconds: float) -> list[Given]:
        """So much time goes by; what is owed then is given back at once."""
        self.now_s += seconds
        await self.replayer.look()
        owed = list(self.replayer._owed)
        self.replayer._owed.clear()
        return [await self.replayer.give_back(session) for session in owed]


pytestmark = pytest.mark.anyio


@pytest.fixture
async def process() -> Process:
    made = Process()
    await made.write()
    return made


async def test_a_client_that_writes_nothing_any_more_lets_go_as_well(process: Process) -> None:
    assert (await process.wait(RETAIN_S), process.tail.sessions) == ([], [process.session])
    assert (await process.wait(1), process.tail.sessions) == ([Given.WHOLE], [])
    asked = process.log.asked
    await process.wait(3_600)
    assert process.log.asked == asked, "whoever keeps nothing asks nothing"


async def test_an_erased_session_does_not_come_back_when_its_tombstone_is_gone(process: Process) -> None:
    await process.log.delete(process.session)  # by another process
    await process.wait(RETAIN_S + 1)
    process.log.lose(process.session)  # a day later
    await process.wait(TOMBSTONE_S)
    assert await process.replayer.give_back(process.session) is Given.WHOLE
    assert await process.log.heads([process.session]) == [None]


async def test_nor_when_the_log_was_away_all_the_time(process: Process) -> None:
    await process.log.delete(process.session)
    process.log.away = True
    await process.wait(TOMBSTONE_S)
    process.log.away = False
    process.log.lose(process.session)
    await process.wait(1)
    assert await process.log.heads([process.session]) == [None]


async def test_a_long_outage_is_given_back_what_it_lost(process: Process) -> None:
    process.log.away = True
    for _ in range(100):
        assert await process.wait(60) == []
    process.log.away = False
    process.log.lose(process.session)
    assert await process.wait(1) == [Given.ALL]
    assert [event.seq for event in await process.log.read(process.session, Seq(0))] == [1, 2]
    process.log.lose(process.session)  # that one dies as well, before anybody has a copy
    assert await process.wait(RETAIN_S) == []
    assert await process.replayer.give_back(process.session) is Given.ALL


async def test_a_process_keeps_nothing_of_sessions_it_knows_to_be_deleted(process: Process) -> None:
    await process.replayer.erase(process.session)
    assert process.tail.sessions == []
    other = Process()
    await other.write()
    await other.log.delete(other.session)
    assert await other.replayer.give_back(other.session) is Given.NOTHING
    assert other.tail.sessions == []


async def test_a_deletion_that_is_not_certain_is_told_so_and_remembered(process: Process) -> None:
    process.log.alone = True
    with pytest.raises(NotCertain):
        await process.replayer.erase(process.session)
    assert list(process.replayer._uncertain) == [process.session]
    process.log.alone = False
    await process.replayer.erase(process.session)
    assert not process.replayer._uncertain


async def test_a_deletion_that_perhaps_was_not_done_at_all_is_remembered_as_well(process: Process) -> None:
    process.log.silent = True
    with pytest.raises(LogUnavailable):
        await process.replayer.erase(process.session)
    assert list(process.replayer._uncertain) == [process.session]


async def test_a_session_that_came_back_before_its_certain_deletion_is_deleted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failover, "ATTEND_S", 0.01)
    log, session = Log(), new_session_id()
    log.alone = True
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, mode="create")
        with pytest.raises(NotCertain):
            await recorder.erase(session)
        log.lose(session)  # a server that does not know of the deletion is in the log's place
        await log.append([creation(session)])
        log.alone = False
        await eventually(lambda: log._sessions[session].state == "deleted")


async def test_nothing_is_let_go_between_a_failover_and_a_look_at_the_new_server() -> None:
    log, session = Log(), new_session_id()
    async with Recorder(log) as recorder:
        replayer = recorder._committer._replayer
        await recorder.post(session, STARTED, mode="create")
        assert replayer.owes_nothing(session)
        log.lose(session)
        log.failovers += 1
        assert not replayer.owes_nothing(session)
        await eventually(lambda: replayer.owes_nothing(session))
        assert [event.seq for event in await log.read(session, Seq(0))] == [1]
