"""Projections: in order, by one reader at a time, and past what they cannot take."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipeline.background.projection_reader import TRIES, ProjectionReader
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_projections import RedisProjections, ask_for_rebuild
from pipeline.background.worker_ports import Change, Lease, Pointer, Step
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import SessionId
from tests.support.eventlog.log_events import batch, raw, until
from tests.support.worker_effects import COMPLETED, SCANTY, session_with

pytestmark = pytest.mark.anyio


class Journal:
    """Keeps the last seq of each session; refuses sessions that are told to be bad."""

    name = "journal"
    types = frozenset({"session.started", "text.completed"})

    def __init__(self, bad: set[SessionId] | None = None) -> None:
        self.bad = bad or set()
        self.refused = 0
        self.seen: dict[SessionId, list[int]] = {}

    async def project(self, session: SessionId, pointers: Sequence[Pointer]) -> Sequence[Change]:
        if session in self.bad:
            self.refused += 1
            raise ValueError("bad session")
        self.seen.setdefault(session, []).extend(pointer.seq for pointer in pointers)
        return [Change("HSET", "x:journal", (session, pointers[-1].seq))]

    async def from_scratch(self, session: SessionId) -> Sequence[Change]:
        return [Change("HSET", "x:journal", (session, "anew"))]

    async def known(self, partition: int) -> Sequence[SessionId]:
        return []


@asynccontextmanager
async def reading(
    log: RedisEventLog, projection: Journal, reader: str = "one"
) -> AsyncGenerator[ProjectionReader, None]:
    port = RedisProjections(log)
    found = ProjectionReader(projection, port, SCANTY, reader=reader)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        yield found
        tasks.cancel_scope.cancel()
    await port.aclose()


def journal(home: Path) -> dict[str, str]:
    with raw(home) as server:
        pairs = [server.hgetall(f"ev:{{p{p}}}:x:journal") for p in range(16)]
    return {name.decode(): value.decode() for some in pairs for name, value in some.items()}


def letters(home: Path) -> list[dict[bytes, bytes]]:
    with raw(home) as server:
        return [fields for p in range(16) for _, fields in server.xrange(f"ev:{{p{p}}}:dlq")]


def parked(home: Path) -> dict[str, int]:
    with raw(home) as server:
        pairs = [server.hgetall(f"ev:{{p{p}}}:park:journal") for p in range(16)]
    return {name.decode(): int(value) for some in pairs for name, value in some.items()}


async def test_each_session_s_events_come_in_order_and_once(log: RedisEventLog, home: Path) -> None:
    projection = Journal()
    async with reading(log, projection):
        sessions = [await session_with(log, *[COMPLETED] * 5) for _ in range(30)]
        await log.append([batch(session, 2, COMPLETED) for session in sessions])
        await until(lambda: set(journal(home).values()) == {"7"} and len(journal(home)) == 30)
    assert projection.seen == {session: list(range(1, 8)) for session in sessions}


async def test_the_next_reader_goes_on_where_the_last_one_was(log: RedisEventLog, home: Path) -> None:
    first, second = Journal(), Journal()
    session = await session_with(log, COMPLETED)
    async with reading(log, first, "first"):
        await until(lambda: journal(home) == {session: "2"})
    await log.append([batch(session, 2, COMPLETED)])
    async with reading(log, second, "second"):
        await until(lambda: journal(home) == {session: "3"})
    assert second.seen == {session: [3]}


async def test_one_call_leases_every_partition(log: RedisEventLog, home: Path) -> None:
    port = RedisProjections(log)
    await log.ping()
    with raw(home) as server:
        server.config_resetstat()
        leases = await port.lease("journal", "me", ttl_s=60)
        assert server.info("commandstats")["cmdstat_fcall"]["calls"] == 1
    assert [lease.partition for lease in leases] == list(range(16))
    await port.aclose()


async def test_a_reader_whose_lease_went_to_another_writes_nothing(log: RedisEventLog, home: Path) -> None:
    port = RedisProjections(log)
    stale = {lease.partition: lease for lease in await port.lease("journal", "stale", ttl_s=0.001)}
    assert len(stale) == 16
    fresh: list[Lease] = []
    while len(fresh) < 16:  # a millisecond has to pass
        fresh = await port.lease("journal", "fresh", ttl_s=60)
    lease = fresh[0]
    old = stale[lease.partition]
    assert (old.epoch, lease.epoch) == (1, 2)
    step = Step("5-0", [Change("HSET", "x:journal", ("who", "stale"))])
    assert not await port.advance("journal", old, step)
    assert journal(home) == {}
    fine = Step("5-0", [Change("HSET", "x:journal", ("who", "fresh"))])
    assert await port.advance("journal", lease, fine)
    assert await port.lease("journal", "stale", ttl_s=60) == []
    assert journal(home) == {"who": "fresh"}
    await port.aclose()


async def test_a_step_sent_twice_is_made_once(log: RedisEventLog, home: Path) -> None:
    port = RedisProjections(log)
    lease = (await port.lease("journal", "me", ttl_s=60))[0]
    step = Step("5-0", [Change("HINCRBY", "x:journal", ("times", 1))])
    assert await port.advance("journal", lease, step)
    assert await port.advance("journal", lease, step)
    assert not await port.advance("journal", replace(lease, place="4-0"), Step("6-0"))
    assert journal(home) == {"times": "1"}
    await port.aclose()


async def test_a_session_that_cannot_be_taken_is_parked_with_all_that_follows(
    log: RedisEventLog, home: Path
) -> None:
    bad = await session_with(log)
    projection = Journal({bad})
    async with reading(log, projection):
        await until(lambda: parked(home) == {bad: 1})
        good = await session_with(log, COMPLETED)
        await log.append([batch(bad, 1, COMPLETED, COMPLETED)])
        await until(lambda: parked(home) == {bad: 3})
        await until(lambda: journal(home) == {good: "2"})
    found = letters(home)
    assert [int(letter[b"q"]) for letter in found] == [1, 2, 3]
    assert found[0][b"e"] == b"ValueError: bad session"
    assert found[1][b"e"] == b"an earlier event of this session is parked"
    assert {letter[b"k"] for letter in found} == {b"projection"}


async def test_a_retry_takes_a_parked_session_up_where_it_was_left(log: RedisEventLog, home: Path) -> None:
    bad = await session_with(log, COMPLETED)
    projection = Journal({bad})
    maintenance = RedisMaintenance(log)
    async with reading(log, projection):
        await until(lambda: parked(home) == {bad: 2})
        await log.append([batch(bad, 2, COMPLETED)])
        await until(lambda: parked(home) == {bad: 3})
        oldest = (await maintenance.letters(None, 10))[0]
        assert await maintenance.retry(oldest)  # as bad as before
        await until(lambda: projection.refused == 2 * TRIES)
        await log.append([batch(bad, 3, COMPLETED)])
        await until(lambda: parked(home) == {bad: 4})
        assert projection.seen == {}
        projection.bad.clear()
        assert await maintenance.retry(oldest)
        await until(lambda: parked(home) == {})
        await log.append([batch(bad, 4, COMPLETED)])
        await until(lambda: journal(home) == {bad: "5"})
    assert projection.seen == {bad: [1, 2, 3, 4, 5]}
    assert letters(home) == []


class Robbed(Journal):
    """Loses its leases to somebody else while it takes a session up again."""

    def __init__(self, thief: RedisProjections, bad: set[SessionId]) -> None:
        super().__init__(bad)
        self._thief = thief

    async def project(self, session: SessionId, pointers: Sequence[Pointer]) -> Sequence[Change]:
        made = await super().project(session, pointers)
        while session not in await self._sessions_of_the_thief():
            pass  # the lease lasts a little longer
        return made

    async def _sessions_of_the_thief(self) -> set[SessionId]:
        taken = await self._thief.lease(self.name, "thief", ttl_s=60)
        return {session for lease in taken for session in await self._thief.sessions(lease.partition)}


async def test_a_worker_that_loses_a_partition_while_several_are_taken_up_leaves_the_rest(
    log: RedisEventLog, home: Path
) -> None:
    keys, made = await log.keys(), dict[int, SessionId]()
    while (other := made.get(keys.partition(bad := await session_with(log)))) is None:
        made[keys.partition(bad)] = bad
    port = RedisProjections(log)
    projection = Robbed(port, {*made.values(), bad})
    reader = ProjectionReader(projection, port, SCANTY, reader="one")
    with anyio.fail_after(30):
        while len(parked(home)) < len(projection.bad):
            await reader.step()
        for letter in await RedisMaintenance(log).letters(None, 100):
            assert letter.session not in (bad, other) or await RedisMaintenance(log).retry(letter)
        projection.bad.clear()
        await reader.step()
    assert len(projection.seen.keys() & {bad, other}) == 1
    assert {bad, other} <= parked(home).keys()
    await port.aclose()


async def test_a_session_is_free_when_its_last_letter_was_dropped(log: RedisEventLog, home: Path) -> None:
    bad = await session_with(log, COMPLETED)
    projection = Journal({bad})
    maintenance = RedisMaintenance(log)
    async with reading(log, projection):
        await until(lambda: parked(home) == {bad: 2})
        projection.bad.clear()
        first, second = await maintenance.letters(None, 10)
        assert await maintenance.drop(first)
        assert parked(home) == {bad: 1}
        assert await maintenance.drop(second)
        assert parked(home) == {}
        await log.append([batch(bad, 2, COMPLETED)])
        await until(lambda: journal(home) == {bad: "3"})


async def test_a_rebuild_makes_the_view_anew_and_frees_what_was_parked(
    log: RedisEventLog, home: Path
) -> None:
    assert not await ask_for_rebuild(log, "journal")
    bad, good = await session_with(log), await session_with(log)
    projection = Journal({bad})
    async with reading(log, projection):
        await until(lambda: parked(home) == {bad: 1} and good in journal(home))
        projection.bad.clear()
        assert await ask_for_rebuild(log, "journal")
        await until(lambda: journal(home) == {bad: "anew", good: "anew"} and parked(home) == {})
        assert letters(home) == []
        await log.append([batch(bad, 1, COMPLETED)])
        await until(lambda: journal(home) == {bad: "2", good: "anew"})
