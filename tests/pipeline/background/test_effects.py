"""Effects: each event is worked on until it is done once, or lies among the dead letters."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.background import effect_runner
from pipeline.background.effect_runner import SharedReads
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import Change, EventDelivery, Member, Pointer, Wish
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors import LogUnavailable
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import batch, creation, kill_server, raw, until
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.worker_effects import COMPLETED, SCANTY, UNHURRIED, Noted, fetched, running, session_with

pytestmark = pytest.mark.anyio


def pending(home: Path, partitions: int = 16, group: str = "noted") -> int:
    with raw(home) as server:
        return sum(
            about["pending"]
            for p in range(partitions)
            for about in server.xinfo_groups(f"ev:{{p{p}}}:t")
            if about["name"] == group.encode()
        )


def letters(home: Path) -> list[dict[bytes, bytes]]:
    with raw(home) as server:
        return [fields for p in range(16) for _, fields in server.xrange(f"ev:{{p{p}}}:dlq")]


def signs_of_life(home: Path, session: SessionId, wanted: int) -> Callable[[], bool]:
    """True once the one pending event's idle time has begun anew so often."""
    key = Keys(16).triggers(Keys(16).partition(session))
    idles = [0]

    def look() -> bool:
        with raw(home) as server:
            pending: Any = server.xpending_range(key, "noted", "-", "+", 1)
        idles.append(pending[0]["time_since_delivered"])
        return sum(later < earlier for earlier, later in pairwise(idles)) >= wanted

    return look


class SlowlyReadLog(MemoryEventLog):
    """Reads wait until they are let through, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.gate = anyio.Event()

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        self.reads += 1
        await self.gate.wait()
        return await super().read(session, after, limit=limit, audio=audio)


async def test_every_event_of_its_types_is_applied_once_also_those_from_before(
    log: RedisEventLog, home: Path
) -> None:
    before = [await session_with(log, COMPLETED) for _ in range(20)]
    effect = Noted()
    async with running(log, effect):
        after = [await session_with(log, COMPLETED) for _ in range(20)]
        await until(lambda: len(effect.done) == 40)
        await until(lambda: pending(home) == 0)
    assert Counter((p.session, p.seq) for p in effect.done) == Counter((s, 2) for s in before + after)


async def test_several_workers_share_the_work_and_do_nothing_twice(log: RedisEventLog, home: Path) -> None:
    one, two = Noted(), Noted()
    async with running(log, one, settings=UNHURRIED), running(log, two, settings=UNHURRIED):
        sessions: list[SessionId] = []
        with anyio.fail_after(20):
            while len(sessions) < 20 or not (one.done and two.done):
                sessions.append(await session_with(log, *[COMPLETED] * 5))
        await until(lambda: len(one.done) + len(two.done) == 5 * len(sessions))
        await until(lambda: pending(home) == 0)
    done = Counter((pointer.session, pointer.seq) for pointer in one.done + two.done)
    assert done == Counter((session, seq) for session in sessions for seq in range(2, 7))


async def test_effects_that_are_given_the_same_event_meanwhile_share_its_read() -> None:
    log = SlowlyReadLog()
    session = new_session_id()
    await log.append([creation(session)])
    await log.append([batch(session, 1, COMPLETED)])
    pointer = Pointer(0, "1-0", session, Seq(2), "text.completed")
    reads, found = SharedReads(log), []

    async def read() -> None:
        found.append(await reads.event(pointer))

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as impatient:
        impatient.start_soon(read)
        tasks.start_soon(read)
        tasks.start_soon(read)
        await until(lambda: log.reads > 0)
        impatient.cancel_scope.cancel()
        log.gate.set()
    assert [(event.seq, event.type) for event in found if event] == [(2, "text.completed")] * 2
    assert log.reads == 1
    assert await reads.event(pointer) == found[0]
    assert log.reads == 2, "what was read is not kept: the session may be deleted"


async def test_a_read_that_never_ends_is_not_joined_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect_runner, "READ_S", 0.01)
    log, session = SlowlyReadLog(), new_session_id()
    await log.append([creation(session)])
    await log.append([batch(session, 1, COMPLETED)])
    reads, pointer = SharedReads(log), Pointer(0, "1-0", session, Seq(2), "text.completed")
    with anyio.fail_after(10), pytest.raises(LogUnavailable):
        await reads.event(pointer)
    log.gate.set()
    assert await reads.event(pointer) is not None
    assert log.reads == 2


async def test_a_failure_is_tried_again_soon_and_then_forgotten(log: RedisEventLog, home: Path) -> None:
    failures = iter(["no", "no", "no"])

    def fail_thrice(_: object) -> None:
        if failure := next(failures, None):
            raise ValueError(failure)

    effect = Noted(fail_thrice)
    await session_with(log, COMPLETED)
    async with running(log, effect, settings=UNHURRIED):
        await until(lambda: len(effect.done) == 1)
        await until(lambda: pending(home) == 0)
    assert len(effect.seen) == 4
    assert letters(home) == []


async def test_poison_is_a_dead_letter_after_five_tries_and_stops_nobody(
    log: RedisEventLog, home: Path
) -> None:
    poison = await session_with(log, COMPLETED)

    def refuse(pointer: object) -> None:
        if getattr(pointer, "session", None) == poison:
            raise ValueError("this is poison")

    effect = Noted(refuse)
    others = [await session_with(log, COMPLETED) for _ in range(30)]
    async with running(log, effect, settings=UNHURRIED):
        await until(lambda: len(letters(home)) == 1)
        await until(lambda: len(effect.done) == len(others))
        await until(lambda: pending(home) == 0)
    [letter] = letters(home)
    assert letter[b"s"].decode() == poison
    assert (letter[b"q"], letter[b"t"], letter[b"g"]) == (b"2", b"text.completed", b"noted")
    assert (letter[b"n"], letter[b"e"]) == (b"5", b"ValueError: this is poison")
    assert sum(pointer.session == poison for pointer in effect.seen) == 5


async def test_an_effect_that_a_worker_never_finished_is_claimed_by_another(log: RedisEventLog) -> None:
    session = await session_with(log, COMPLETED)
    dead = RedisGroups(log)
    taken = await fetched(dead, Member("noted", "dead"), count=1)
    assert [one.pointer.type for one in taken] == ["session.started"]  # one at a time of each partition
    taken += await fetched(dead, Member("noted", "dead"), count=1)
    await dead.aclose()
    effect = Noted()
    async with running(log, effect):
        await until(lambda: len(effect.done) == 1)
    assert effect.done[0].session == session


async def test_an_effect_delivered_again_during_its_work_is_done_once(log: RedisEventLog, home: Path) -> None:
    gate = anyio.Event()
    effect = Noted(gate=gate)
    session = await session_with(log, COMPLETED)
    async with running(log, effect, settings=UNHURRIED):
        await until(lambda: len(effect.seen) == 1)
        with raw(home) as server:  # as a promoted replica does, whose group has an earlier place
            server.xgroup_setid(Keys(16).triggers(Keys(16).partition(session)), "noted", "0")
        await log.append([batch(session, 2, COMPLETED)])
        await until(lambda: effect.seen[-1].seq == 3)  # delivered after the second delivery of 2
        gate.set()
        await until(lambda: pending(home) == 0)
    assert [pointer.seq for pointer in effect.seen] == [2, 3]


async def test_a_long_try_keeps_its_event_as_long_as_it_shows_life(log: RedisEventLog, home: Path) -> None:
    gate, patient = anyio.Event(), SCANTY.model_copy(update={"claim_idle_s": 1.5})
    slow, idle = Noted(gate=gate), Noted()
    session = await session_with(log, COMPLETED)
    async with running(log, slow, settings=patient):
        await until(lambda: len(slow.seen) == 1)
        async with running(log, idle, settings=patient):
            await until(signs_of_life(home, session, 4))  # time enough to be claimed from the dead
            gate.set()
            await until(lambda: pending(home) == 0)
    assert (len(slow.seen), len(idle.seen)) == (1, 0)


async def test_a_zombie_s_effect_is_refused(log: RedisEventLog, home: Path) -> None:
    """It took an event, hung, and wakes when another has had it."""
    await session_with(log, COMPLETED)
    zombie, heir = RedisGroups(log), RedisGroups(log)
    changes = [Change("HINCRBY", "x:count", ("times", 1))]
    assert len(await fetched(zombie, Member("noted", "zombie"))) == 2
    claimed: list[EventDelivery] = []
    while more := await heir.claim(Member("noted", "heir"), idle_s=0, count=8):
        claimed += more
        if len(claimed) >= 2:
            break
    [mine] = [one for one in claimed if one.pointer.type == "text.completed"]
    assert mine.times == 2
    assert not await zombie.finish(Member("noted", "zombie"), mine.pointer, changes)
    assert await zombie.again(Member("noted", "zombie"), mine.pointer) == 0
    assert not await zombie.dead_letter(Member("noted", "zombie"), mine.pointer, "no")
    assert await zombie.beat(Member("noted", "zombie"), [mine.pointer]) == [mine.pointer]
    assert await heir.finish(Member("noted", "heir"), mine.pointer, changes)
    assert not await heir.finish(Member("noted", "heir"), mine.pointer, changes)
    with raw(home) as server:
        assert server.hgetall(f"ev:{{p{mine.pointer.partition}}}:x:count") == {b"times": b"1"}
    assert letters(home) == []
    await zombie.aclose()
    await heir.aclose()


async def test_one_call_claims_what_dead_workers_held_in_every_partition(
    log: RedisEventLog, home: Path
) -> None:
    sessions = {await session_with(log, COMPLETED) for _ in range(20)}
    dead, heir = RedisGroups(log), RedisGroups(log)
    held = await fetched(dead, Member("noted", "dead"))
    assert len(held) == 40
    with raw(home) as server:
        server.config_resetstat()
        claimed = await heir.claim(Member("noted", "heir"), idle_s=0, count=len(held))
        assert server.info("commandstats")["cmdstat_fcall"]["calls"] == 1
    assert {one.pointer for one in claimed} == {one.pointer for one in held}
    assert {one.pointer.session for one in claimed} == sessions
    assert {one.times for one in claimed} == {2}
    await dead.aclose()
    await heir.aclose()


async def test_events_of_deleted_sessions_are_passed_over(log: RedisEventLog, home: Path) -> None:
    gone = await session_with(log, COMPLETED)
    await log.delete(gone)
    effect = Noted(types=("text.completed", "session.deleted"))
    async with running(log, effect):
        await until(lambda: len(effect.done) == 1)
        await until(lambda: pending(home) == 0)
    assert [pointer.type for pointer in effect.done] == ["session.deleted"]


async def test_a_worker_that_leaves_in_order_hands_back_what_it_held(log: RedisEventLog, home: Path) -> None:
    stuck, effect = Noted(gate=anyio.Event()), Noted()
    await session_with(log, COMPLETED)
    patient = SCANTY.model_copy(update={"claim_idle_s": 5.0})
    async with running(log, stuck, settings=patient):
        await until(lambda: len(stuck.seen) == 1)
    group = RedisGroups(log)
    [back] = await group.claim(Member("noted", "next"), idle_s=5.0, count=8)
    assert back.times == 1  # as if nobody had tried
    await group.aclose()
    assert effect.seen == []


async def test_a_killed_server_costs_no_event_a_try(log: RedisEventLog, home: Path) -> None:
    effect = Noted()
    sessions: list[SessionId] = []

    def done() -> int:
        return len({(pointer.session, pointer.seq) for pointer in effect.done})

    async with running(log, effect):
        for number in range(3):
            sessions += [await session_with(log, COMPLETED) for _ in range(10)]
            await until(partial(lambda goal: done() >= goal, 10 * number + 5))
            await anyio.to_thread.run_sync(kill_server, home)
        await until(lambda: done() == 30)
    assert letters(home) == []


async def test_an_absent_log_says_nothing_about_the_event(log: RedisEventLog, home: Path) -> None:
    away = iter(range(9))

    def absent(_: object) -> None:
        if next(away, None) is not None:
            raise LogUnavailable("away")

    effect = Noted(absent)
    await session_with(log, COMPLETED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.background.effect_runner.AWAY_S", 0.01)
        async with running(log, effect):
            await until(lambda: len(effect.done) == 1)
    assert len(effect.seen) == 10
    assert letters(home) == []


async def test_one_call_fetches_for_every_group_what_it_is_there_for(log: RedisEventLog, home: Path) -> None:
    await session_with(log, COMPLETED)
    group = RedisGroups(log)
    wishes = [Wish("texts", frozenset({"text.completed"}), 8), Wish("ends", frozenset({"session.ended"}), 8)]
    with raw(home) as server:
        server.config_resetstat()
        found = await group.fetch("me", wishes, range(16))
        assert server.info("commandstats")["cmdstat_fcall"]["calls"] == 1
    assert [one.pointer.type for one in found.by_group["texts"]] == ["text.completed"]
    assert (found.by_group["ends"], found.behind) == ([], frozenset())
    assert (pending(home, group="texts"), pending(home, group="ends")) == (1, 0)
    await group.aclose()


async def test_an_effect_without_room_does_not_keep_the_others_from_theirs(log: RedisEventLog) -> None:
    gate = anyio.Event()
    stuck, other = Noted(name="stuck", gate=gate), Noted(name="other")
    session = await session_with(log, *[COMPLETED] * 40)
    async with running(log, stuck, other, settings=UNHURRIED):
        await until(lambda: len(other.done) == 40)
        assert len(stuck.seen) == 8
        gate.set()
        await until(lambda: len(stuck.done) == 40)
    assert {(pointer.session, pointer.seq) for pointer in stuck.done} == {(session, n) for n in range(2, 42)}


async def test_no_more_are_worked_on_at_a_time_than_allowed(log: RedisEventLog) -> None:
    gate = anyio.Event()
    effect = Noted(gate=gate)
    session = await session_with(log)
    await log.append([batch(session, 1, *[COMPLETED] * 60)])
    async with running(log, effect):
        await until(lambda: len(effect.seen) >= 8)
        assert len(effect.seen) == 8
        gate.set()
        await until(lambda: len(effect.done) == 60)


async def test_a_group_that_is_gone_is_made_again_and_work_goes_on(log: RedisEventLog, home: Path) -> None:
    effect = Noted()
    async with running(log, effect):
        before = await session_with(log, COMPLETED)
        await until(lambda: before in {pointer.session for pointer in effect.done})
        with raw(home) as server:
            for p in range(16):
                server.xgroup_destroy(f"ev:{{p{p}}}:t", "noted")
        after = await session_with(log, COMPLETED)
        await until(lambda: after in {pointer.session for pointer in effect.done})
        await until(lambda: pending(home) == 0)
