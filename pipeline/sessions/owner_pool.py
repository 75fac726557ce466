"""The owners of a process: woken by commands or by what others left undone, ended together."""

import logging
import random
from collections import Counter

import anyio
from anyio.abc import TaskGroup

from pipeline.core.task_scope import TaskScope
from pipeline.observability.tracer import in_session
from pipeline.sessions.orphan_scan import OrphanScanLease
from pipeline.sessions.owner_leases import Leases
from pipeline.sessions.session_owner import OwnerServices, SessionOwner
from schemas.errors import Fenced, GatewayBusy, LogUnavailable, RhapsodeError
from schemas.ids import Seq, SessionId

log = logging.getLogger(__name__)

_RETRY_S = 0.25
_RETRY_MOST_S = 30.0
_SEVERAL = 2
"""Turns of one principal from which others that have none are let in beside it."""
_BEGINS_S = 1.0
"""Seconds until a turn that was let in is under way: no other of its principal is let in beside it."""
_INSIDE_MS = 300_000
"""A request in a session that has had an event since then is not taken for a new session."""


def rest_s(failures: int) -> float:
    """How long a session rests that so many owners in a row have failed at."""
    return min(_RETRY_MOST_S, _RETRY_S * 2.0**failures)


class OwnerPool(TaskScope):
    """The sessions whose turns this process runs; an async context manager that ends them all."""

    def __init__(
        self,
        *,
        node: str,
        services: OwnerServices,
    ) -> None:
        super().__init__()
        self._services = services
        self._node = node
        self._owners: dict[SessionId, SessionOwner] = {}
        self._count = 0
        self._failures: dict[SessionId, int] = {}
        """In a row, of sessions that nobody here can run: they are tried less and less often."""
        self._let_in: dict[tuple[str, bool], float] = {}
        """When principals without turns were let in last though it is crowded; with a new session, or not."""
        self._leaving = False
        self._leases = Leases(services.log)
        self.orphan_scan = OrphanScanLease(services.log, node)

    def _begin(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._leases.run)
        tasks.start_soon(self._look_for_work)

    def admit(self, principal: str, latest_ms: int | None = None) -> None:
        """Raises GatewayBusy when this replica runs as many turns as it may, or the engines lag behind.

        `latest_ms`: when something happened last in the session, wall clock; None: it is new. One that is
        new, or was idle for five minutes, is refused also while answers begin too late. A principal none of
        whose turns runs here is let in where others have several: those are what the engines lag behind with.
        """
        if self._full:
            raise GatewayBusy(f"this replica runs {self.running} turns; try again shortly")
        if self._services.backpressure is None:
            return
        try:
            self._services.backpressure.check()
            if latest_ms is None or self._services.clock.now_ms() - latest_ms > _INSIDE_MS:
                self._services.backpressure.limiter.check()
        except GatewayBusy:
            turns = Counter(one.principal for one in self._owners.values() if one.busy and one.principal)
            now_s = self._services.clock.monotonic()
            self._let_in = {who: at_s for who, at_s in self._let_in.items() if now_s - at_s < _BEGINS_S}
            who = principal, latest_ms is None
            if not principal or turns[principal] or who in self._let_in:
                raise
            if max(turns.values(), default=0) < _SEVERAL:
                raise
            self._let_in[who] = now_s

    async def hand_over(self, patience_s: float) -> None:
        """Run nothing from now on. Returns when every session that was run here is free for another replica.

        A turn is given up between two sentences, or after `patience_s` in the middle of one.
        """
        self._leaving = True
        async with anyio.create_task_group() as partings:
            for owner in list(self._owners.values()):
                partings.start_soon(owner.hand_over, patience_s)

    async def _look_for_work(self) -> None:
        """Take up what nobody does: its owner died, or whoever asked for it owns no sessions."""
        failing = False
        while True:
            await anyio.sleep(self.orphan_scan.pause_s)
            try:
                if not self._has_room or not await self.orphan_scan.may_look():
                    continue
                found = await self._services.log.abandoned()
            except RhapsodeError:
                continue  # no owner can work without the log
            except Exception:  # all owners of this process would end with us
                if not failing:
                    log.exception("abandoned sessions cannot be looked for; this is said once until they can")
                failing = True
                continue
            failing = False
            random.shuffle(found)  # where nobody gives out the looks, several look at the same time
            for session in found:
                if session not in self._owners and self._has_room:
                    self.wake(session, Seq(0))

    @property
    def _has_room(self) -> bool:
        """For a session more: what was taken up a moment ago may not run yet."""
        occupied = sum(owner.occupied for owner in self._owners.values())
        return not self._leaving and occupied < self._services.limits.live_sessions

    @property
    def _full(self) -> bool:
        return self.running >= self._services.limits.live_sessions

    @property
    def running(self) -> int:
        """Turns under way in this process."""
        return sum(owner.busy for owner in self._owners.values())

    @property
    def owned(self) -> int:
        """Sessions that this process runs the turns of, those included that have none now."""
        return len(self._owners)

    def offer(self, session: SessionId, seq: Seq) -> None:
        """There is work in the session: begin at once if there is room; if not, whoever has room finds it."""
        if session in self._owners or self._has_room:
            self.wake(session, seq)

    def setbacks(self, session: SessionId) -> int:
        """How often in a row its owners have failed here."""
        return self._failures.get(session, 0)

    def wake(self, session: SessionId, seq: Seq) -> None:
        """A command is in the log at `seq`: see that some owner acts on it; who is leaving lets others."""
        if self._leaving or self._group is None:
            return
        owner = self._owners.get(session)
        if owner is None or owner.closing:
            self._count += 1
            owner = self._owners[session] = SessionOwner(
                session, f"{self._node}.{self._count}", self._services, self._leases
            )
            self.spawn(self._run, owner)
        owner.expect(seq)

    async def _run(self, owner: SessionOwner) -> None:
        with in_session(owner.session, self._services.tracing):
            await self._run_here(owner)

    async def _run_here(self, owner: SessionOwner) -> None:
        """Run an owner; one that fails, or leaves as a command comes, is followed by another."""
        failures = self._failures.pop(owner.session, 0)
        try:
            await owner.run()
        except* (LogUnavailable, Fenced, TimeoutError) as errors:
            log.warning("session %s: the owner gave up: %s", owner.session, errors.exceptions[0])
        except* RhapsodeError as errors:
            self._failures[owner.session] = failures + 1
            log.warning("session %s: the owner failed: %s", owner.session, errors.exceptions[0])
        except* Exception:
            self._failures[owner.session] = failures + 1
            log.exception("session %s: the owner failed", owner.session)
        owner.closing = True
        if owner.is_needed:
            await anyio.sleep(rest_s(self.setbacks(owner.session)))
        else:
            self._failures.pop(owner.session, None)
        if self._owners.get(owner.session) is owner:
            del self._owners[owner.session]
            if owner.is_needed:
                self.wake(owner.session, owner.expected)
