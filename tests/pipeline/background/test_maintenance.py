"""Maintenance drops nothing that a reader needs; the reaper ends what everybody has left, once."""

import itertools
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.background.consumer_lag import (
    ConsumerLag,
    ConsumerPresence,
    GroupLag,
    ProjectionLag,
    needed_from,
    order_of,
)
from pipeline.background.maintenance import StreamMaintenance
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.worker_ports import Change, Member, Pointer, Step
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import new_session_id
from schemas.settings import WorkerSettings
from tests.support.eventlog.log_events import batch, raw, until
from tests.support.worker_effects import COMPLETED, fetched, session_with

NAMES = ["a", "b", "c"]
ENTRIES = st.builds("{}-{}".format, st.integers(0, 30), st.integers(0, 3))


@st.composite
def groups(draw: st.DrawFn) -> list[GroupLag]:
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        oldest, last = sorted((draw(ENTRIES), draw(ENTRIES)), key=order_of)
        pending = draw(st.booleans())
        found.append(GroupLag(name, 0, int(pending), oldest if pending else None, last))
    return found


@st.composite
def projections(draw: st.DrawFn) -> list[ProjectionLag]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return [ProjectionLag(name, draw(ENTRIES), 0, 0, rebuilding=False) for name in names]


@given(groups(), projections(), st.frozensets(st.sampled_from(NAMES)), st.frozensets(st.sampled_from(NAMES)))
def test_nothing_is_dropped_that_a_running_reader_has_not_finished(
    groups: list[GroupLag],
    projections: list[ProjectionLag],
    effects: frozenset[str],
    views: frozenset[str],
) -> None:
    for hold in (True, False):
        place = order_of(
            needed_from(ConsumerLag(0, 1, groups, projections), effects, views, unknown_hold=hold)
        )
        for group in groups:
            if hold or group.name in effects:
                assert place <= order_of(group.last_delivered)
                assert group.oldest_pending is None or place <= order_of(group.oldest_pending)
        for one in projections:
            if hold or one.name in views:
                assert place <= order_of(one.place)
        if not effects <= {group.name for group in groups} or not views <= {one.name for one in projections}:
            assert place == (0, 0)


# ---------------------------------------------------------------- on a server


@pytest.fixture
def maintenance(log: RedisEventLog) -> RedisMaintenance:
    return RedisMaintenance(log)


@pytest.fixture
async def group(log: RedisEventLog) -> AsyncGenerator[RedisGroups, None]:
    opened = RedisGroups(log)
    yield opened
    await opened.aclose()


def kept(home: Path) -> int:
    with raw(home) as server:
        return sum(int(server.xlen(f"ev:{{p{p}}}:t")) for p in range(16))


async def announce(maintenance: RedisMaintenance, *effects: str, projections: tuple[str, ...] = ()) -> None:
    await maintenance.announce(ConsumerPresence("me", await maintenance.now_ms(), effects, projections))


async def take_all(group: RedisGroups, member: Member) -> list[Pointer]:
    taken: list[Pointer] = []
    while found := await fetched(group, member):
        taken += [one.pointer for one in found]
    return taken


def make_groups(home: Path, *names: str) -> None:
    """As a worker that has fetched nothing yet."""
    with raw(home) as server:
        for name, p in itertools.product(names, range(16)):
            server.xgroup_create(f"ev:{{p{p}}}:t", name, id="0", mkstream=True)


async def finish_all(group: RedisGroups, member: Member, pointers: Sequence[Pointer]) -> None:
    for pointer in pointers:
        assert await group.finish(member, pointer)


@pytest.mark.anyio
async def test_a_reader_that_nobody_runs_is_told_but_not_by_workers_that_have_just_begun(
    log: RedisEventLog, home: Path, maintenance: RedisMaintenance, caplog: pytest.LogCaptureFixture
) -> None:
    await session_with(log)
    make_groups(home, "one")
    stream_maintenance = StreamMaintenance(maintenance, WorkerSettings())
    await stream_maintenance.tidy()
    assert caplog.text == "", "nobody has said yet what is run"
    await announce(maintenance, "two")
    await stream_maintenance.tidy()
    await stream_maintenance.tidy()
    assert caplog.text.count("no worker runs one any more") == 1


@pytest.mark.anyio
async def test_pointers_go_when_every_reader_is_done_with_them_and_not_before(
    log: RedisEventLog, home: Path, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    session = await session_with(log)
    for number in range(1, 11):
        await log.append([batch(session, number, *[COMPLETED] * 100)])
    stream_maintenance = StreamMaintenance(maintenance, WorkerSettings())
    await announce(maintenance, "one", "two")
    make_groups(home, "one", "two")
    one = await take_all(group, Member("one", "me"))
    assert len(one) == 1_001
    await finish_all(group, Member("one", "me"), one)
    assert await stream_maintenance.tidy() == 0  # "two" has seen nothing
    two = await take_all(group, Member("two", "me"))
    await finish_all(group, Member("two", "me"), two[:500] + two[501:])
    await stream_maintenance.tidy()
    assert 501 <= kept(home) < 800  # one is pending, about half way; whole nodes go
    [back] = [d.pointer for d in await group.claim(Member("two", "heir"), idle_s=0, count=9)]
    assert back == two[500]
    await finish_all(group, Member("two", "heir"), [back])
    await stream_maintenance.tidy()
    assert kept(home) < 300


@pytest.mark.anyio
async def test_pointers_stay_for_a_projection_and_for_readers_of_yesterday(
    log: RedisEventLog, home: Path, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    session = await session_with(log, *[COMPLETED] * 500)
    port = RedisProjections(log)
    make_groups(home, "now", "yesterday")
    await finish_all(group, Member("now", "me"), await take_all(group, Member("now", "me")))
    await announce(maintenance, "now", projections=("view",))
    strict, lenient = WorkerSettings(), WorkerSettings(unknown_readers_hold=False)
    assert await StreamMaintenance(maintenance, lenient).tidy() == 0  # the projection has not begun
    leases = await port.lease("view", "me", ttl_s=60)
    for lease in leases:
        assert await port.advance("view", lease, Step(await port.end(lease.partition)))
    assert await StreamMaintenance(maintenance, strict).tidy() == 0  # "yesterday" may come back
    assert await StreamMaintenance(maintenance, lenient).tidy() > 300
    assert (await log.heads([session]))[0] is not None
    await port.aclose()


@pytest.mark.anyio
async def test_a_consumer_that_holds_something_is_never_forgotten(
    log: RedisEventLog, home: Path, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    session = await session_with(log)
    [held] = await take_all(group, Member("one", "holder"))
    await take_all(group, Member("one", "idler"))
    with raw(home) as server:
        await until(lambda: min(c["idle"] for c in consumers(server, held)) > 20)
        await StreamMaintenance(maintenance, WorkerSettings(consumer_idle_s=0.02)).tidy()
        assert [c["name"] for c in consumers(server, held)] == [b"holder"]
    assert held.session == session


@pytest.mark.anyio
async def test_groups_that_only_running_workers_read_are_left_alone(
    log: RedisEventLog, home: Path, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    session = await session_with(log)
    for pointer in await take_all(group, Member("one", "me")):
        assert await group.finish(Member("one", "me"), pointer)
    await announce(maintenance, "one")
    with raw(home) as server:
        server.config_resetstat()
        await StreamMaintenance(maintenance, WorkerSettings()).tidy()
        said = server.info("commandstats")
    assert "cmdstat_xinfo|consumers" not in said
    assert "cmdstat_xpending" not in said
    assert "cmdstat_xinfo|groups" in said
    assert (await log.heads([session]))[0] is not None


def consumers(server: Any, pointer: Pointer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.xinfo_consumers(f"ev:{{p{pointer.partition}}}:t", "one")
    return found


@pytest.mark.anyio
async def test_old_letters_of_effects_are_dropped_and_those_of_projections_stay(
    log: RedisEventLog, maintenance: RedisMaintenance, home: Path
) -> None:
    about = {"g": "x", "s": new_session_id(), "q": 1, "t": "turn.failed", "e": "no", "n": 5, "f": 1}
    await log.ping()
    with raw(home) as server:
        server.xadd("ev:{p3}:dlq", {"k": "effect", **about}, id="1000-0")
        server.xadd("ev:{p3}:dlq", {"k": "projection", **about}, id="1001-0")
        server.xadd("ev:{p3}:dlq", {"k": "effect", **about})
    await StreamMaintenance(maintenance, WorkerSettings()).tidy()
    letters = await maintenance.letters(None, 10)
    assert [letter.kind for letter in letters] == ["projection", "effect"]
    assert [letter.entry == "1001-0" for letter in letters] == [True, False]


@pytest.mark.anyio
async def test_nothing_is_kept_of_a_deleted_session(
    log: RedisEventLog, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    session, other = await session_with(log), await session_with(log)
    for pointer in await take_all(group, Member("one", "me")):
        assert await group.dead_letter(Member("one", "me"), pointer, "no")
    await log.delete(session)
    await StreamMaintenance(maintenance, WorkerSettings()).tidy()
    assert [letter.session for letter in await maintenance.letters(None, 10)] == [other]


# ---------------------------------------------------------------- second tries


@pytest.mark.anyio
async def test_a_retried_letter_reaches_its_reader_alone(
    log: RedisEventLog, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    me, other = Member("one", "me"), Member("two", "me")
    session = await session_with(log)
    for member in (me, other):
        [pointer] = await take_all(group, member)
    assert await group.dead_letter(me, pointer, "no")
    [letter] = await maintenance.letters(None, 10)
    assert (letter.session, letter.seq, letter.reader, letter.error) == (session, 1, "one", "no")
    assert await maintenance.retry(letter)
    assert not await maintenance.retry(letter)
    assert await maintenance.letters(None, 10) == []
    [again] = await take_all(group, me)
    assert (again.session, again.seq, again.reader) == (session, 1, "one")
    assert await group.finish(me, again, [Change("HINCRBY", "x:count", ("times", 1))])


@pytest.mark.anyio
async def test_a_dropped_letter_is_gone(
    log: RedisEventLog, maintenance: RedisMaintenance, group: RedisGroups
) -> None:
    me = Member("one", "me")
    await session_with(log)
    [pointer] = await take_all(group, me)
    assert await group.dead_letter(me, pointer, "no")
    [letter] = await maintenance.letters(None, 10)
    assert await maintenance.letter(letter.id) == letter
    assert await maintenance.drop(letter)
    assert not await maintenance.drop(letter)
    assert await maintenance.letter(letter.id) is None
    for nonsense in ("", "x", "99.1-1", "3.1", "3.1-1-1", "0.99999999999999999-1"):
        assert await maintenance.letter(nonsense) is None
