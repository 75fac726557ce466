"""Events that a new server lacks come back from those who wrote them, in whatever order these look."""

import time
from collections.abc import Sequence
from itertools import permutations

import pytest

from pipeline.eventlog.event_log import Batch, Outcome, Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import failover
from pipeline.eventlog.redis.failover import FailoverReplayer, Given, UnreplicatedTail
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import batch, creation, delta, offsets
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


class Forgetful(MemoryEventLog):
    """Its server may be replaced by one that knows nothing of the sessions."""

    def fail_over(self) -> None:
        self._sessions.clear()
        self.failovers += 1


class Writer:
    """A process that keeps what it has written."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log
        self._kept = UnreplicatedTail(30.0)
        self._replayer = FailoverReplayer(log, self._kept)

    async def write(self, said: Batch) -> None:
        [outcome] = await self._log.append([said])
        assert outcome.verdict is Verdict.OK
        self._kept.keep(said, outcome, time.monotonic())

    async def give_back(self, session: SessionId) -> Given:
        return await self._replayer.give_back(session)


async def written_by_three(log: MemoryEventLog, session: SessionId) -> list[Writer]:
    """The beginning of a session, and what its first and its second owner said."""
    writers = [Writer(log), Writer(log), Writer(log)]
    await writers[0].write(creation(session))
    for epoch, writer in enumerate(writers[1:], 1):
        for number in (1, 2):
            said = delta(10 * epoch + number)
            await writer.write(batch(session, number, said, producer=f"owner {epoch}", epoch=epoch))
    return writers


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_session_that_is_not_there_at_all_comes_back_whoever_is_first(
    order: tuple[int, int, int],
) -> None:
    log, session = Forgetful(), new_session_id()
    writers = await written_by_three(log, session)
    log.fail_over()
    given = []
    for _ in range(4):  # the last who looks first each time has all back in the third
        given = [await writers[at].give_back(session) for at in order]
        assert Given.NOTHING not in given
    assert given == [Given.WHOLE] * 3
    assert await offsets(log, session) == [11, 12, 21, 22]


async def test_events_of_a_session_whose_beginning_nobody_has_are_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, session = Forgetful(), new_session_id()
    _, owner, _ = await written_by_three(log, session)
    log.fail_over()
    assert await owner.give_back(session) is Given.SOME
    monkeypatch.setattr(failover, "GAP_S", 0.0)
    assert await owner.give_back(session) is Given.NOTHING


class Unread(Forgetful):
    """An archive that cannot be read while it is away."""

    away = False

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        if self.away:
            return [Outcome(Verdict.ARCHIVE_AWAY, Seq(0), Seq(0)) for _ in batches]
        return await super().append(batches)


async def test_an_archive_that_does_not_answer_is_no_reason_to_give_events_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failover, "GAP_S", -1.0)
    log, session = Unread(), new_session_id()
    creator, *_ = await written_by_three(log, session)
    log.fail_over()
    log.away = True
    assert [await creator.give_back(session) for _ in range(3)] == [Given.SOME] * 3
    log.away = False
    assert await creator.give_back(session) is Given.ALL


async def test_an_erased_session_gets_nothing_back() -> None:
    log, session = Forgetful(), new_session_id()
    writers = await written_by_three(log, session)
    log.fail_over()
    await writers[0].give_back(session)
    await log.delete(session)
    given = {await writer.give_back(session) for writer in writers}
    assert given <= {Given.WHOLE, Given.NOTHING}
    [head] = await log.heads([session])
    assert head is not None
    assert head.state == "deleted"


async def test_an_owner_goes_on_when_another_process_has_given_back_the_sessions_beginning() -> None:
    log, session = Forgetful(), new_session_id()
    async with Recorder(log) as creator, Recorder(log) as owner:
        await creator.post(session, creation(session).events[0].event, mode="create")
        pen = owner.open(session, producer="owner", epoch=1)
        await pen.commit(delta(0))
        log.fail_over()
        await pen.commit(delta(1))
    assert await offsets(log, session) == [0, 1]
