"""Leases are renewed together, and lost one by one. Time is the loop's own: nobody waits for it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pipeline.eventlog.event_log import Lease
from pipeline.sessions.owner_leases import AT_ONCE, LEASE_MS, Leases
from schemas.errors import LogError, LogUnavailable
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually
from tests.support.jumping_loop import JumpingLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": JumpingLoop}


class Counting(MemoryEventLog):
    """Remembers what was renewed together. Sessions may have roads of their own, and these may be blocked."""

    def __init__(self) -> None:
        super().__init__(clock_s=anyio.current_time)
        self.calls: list[list[SessionId]] = []
        self.shards: dict[SessionId, str] = {}
        self.blocked: set[str] = set()
        self.open = anyio.Event()
        self.broken: Exception | None = None

    def shard_of(self, session: SessionId) -> str:
        return self.shards.get(session, "")

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        self.calls.append([session for session, _ in leases])
        if self.broken is not None:
            raise self.broken
        if self.shard_of(leases[0][0]) in self.blocked:
            await self.open.wait()
        return await super().renew(leases, ttl_ms)

    def unblock(self) -> None:
        self.blocked = set()
        self.open.set()


@asynccontextmanager
async def renewing(log: Counting) -> AsyncGenerator[Leases, None]:
    leases = Leases(log)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leases.run)
        yield leases
        tasks.cancel_scope.cancel()


async def hold(leases: Leases, session: SessionId, owner: str, work: anyio.CancelScope) -> None:
    """Until `work` is cancelled."""
    assert await leases.take(session, owner, Seq(0)) is not None
    with work, leases.keep(session, owner, work):
        await anyio.sleep_forever()


async def test_all_leases_of_a_process_are_renewed_in_one_call_and_outlast_their_time() -> None:
    log = Counting()
    sessions = [new_session_id() for _ in range(3)]
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        for number, session in enumerate(sessions):
            owners.start_soon(hold, leases, session, f"me.{number}", anyio.CancelScope())
        await anyio.sleep(1.5 * LEASE_MS / 1_000)
        assert log.calls
        assert all(set(call) == set(sessions) for call in log.calls)
        for session in sessions:
            assert not await log.acquire(session, "somebody", LEASE_MS)
        owners.cancel_scope.cancel()


async def test_a_gateway_that_lost_a_lease_stops_and_nobody_else_does() -> None:
    log = Counting()
    lost, kept = anyio.CancelScope(), anyio.CancelScope()
    session, other = new_session_id(), new_session_id()
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        owners.start_soon(hold, leases, session, "me.1", lost)
        owners.start_soon(hold, leases, other, "me.2", kept)
        await eventually(lambda: bool(log.calls))
        await log.release(session, "me.1")
        assert await log.acquire(session, "somebody", 60_000)
        await eventually(lambda: lost.cancel_called)
        assert not kept.cancel_called
        calls = len(log.calls)
        await eventually(lambda: len(log.calls) > calls)
        assert log.calls[-1] == [other]
        owners.cancel_scope.cancel()


async def test_a_blocked_road_keeps_no_other_lease_from_being_renewed() -> None:
    log = Counting()
    stuck, fine = new_session_id(), new_session_id()
    log.shards = {stuck: "a", fine: "b"}
    log.blocked = {"a"}
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        owners.start_soon(hold, leases, stuck, "me.1", anyio.CancelScope())
        owners.start_soon(hold, leases, fine, "me.2", anyio.CancelScope())
        await eventually(lambda: log.calls.count([fine]) >= 3)
        assert log.calls.count([stuck]) == 1
        owners.cancel_scope.cancel()


async def test_a_road_that_was_blocked_is_used_again_and_who_left_meanwhile_holds_nothing() -> None:
    log = Counting()
    session, other = new_session_id(), new_session_id()
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        leaving, staying = anyio.CancelScope(), anyio.CancelScope()
        owners.start_soon(hold, leases, session, "me.1", leaving)
        owners.start_soon(hold, leases, other, "me.2", staying)
        log.blocked = {""}
        await eventually(lambda: len(log.calls) == 1)
        leaving.cancel()
        with anyio.move_on_after(1):
            await leases.give_back(session, "me.1")
            pytest.fail("It was given back while it was being renewed.")
        log.unblock()
        await eventually(lambda: len(log.calls) >= 2)
        assert await log.acquire(session, "somebody", LEASE_MS)
        assert not await log.acquire(other, "somebody", LEASE_MS)
        owners.cancel_scope.cancel()


async def test_a_lease_given_back_during_a_call_is_free_after_it() -> None:
    log, session, work = Counting(), new_session_id(), anyio.CancelScope()
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        owners.start_soon(hold, leases, session, "me.1", work)
        log.blocked = {""}
        await eventually(lambda: len(log.calls) == 1)
        work.cancel()
        owners.start_soon(leases.give_back, session, "me.1")
        await anyio.sleep(0.01)
        log.unblock()
        await anyio.sleep(0.01)
        assert await log.acquire(session, "somebody", LEASE_MS)
        owners.cancel_scope.cancel()


async def test_a_gateway_that_leaves_between_two_calls_is_not_in_the_second() -> None:
    log, late = Counting(), anyio.CancelScope()
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        for number in range(AT_ONCE):
            owners.start_soon(hold, leases, new_session_id(), f"me.{number}", anyio.CancelScope())
        await anyio.lowlevel.checkpoint()
        owners.start_soon(hold, leases, new_session_id(), "me.late", late)
        log.blocked = {""}
        await eventually(lambda: len(log.calls) == 1)
        late.cancel()
        await anyio.sleep(0.01)
        log.unblock()
        await eventually(lambda: len(log.calls) >= 2)
        assert [len(call) for call in log.calls[:2]] == [AT_ONCE, AT_ONCE]
        owners.cancel_scope.cancel()


@pytest.mark.parametrize(
    "broken", [LogUnavailable("It is away."), LogError("It is full."), OSError("The disk is full.")]
)
async def test_a_log_that_cannot_renew_now_is_asked_again_and_ends_nobodys_work(broken: Exception) -> None:
    log, work = Counting(), anyio.CancelScope()
    log.broken = broken
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        owners.start_soon(hold, leases, new_session_id(), "me.1", work)
        await eventually(lambda: len(log.calls) >= 2)
        assert not work.cancel_called
        owners.cancel_scope.cancel()


async def test_very_many_are_renewed_in_calls_of_a_bounded_size() -> None:
    log = Counting()
    async with renewing(log) as leases, anyio.create_task_group() as owners:
        for number in range(AT_ONCE + 1):
            owners.start_soon(hold, leases, new_session_id(), f"me.{number}", anyio.CancelScope())
        await eventually(lambda: len(log.calls) >= 2)
        assert sorted(map(len, log.calls[-2:])) == [1, AT_ONCE]
        owners.cancel_scope.cancel()
