"""Replay after a Redis failover: a new server is given the events and deletions that it lacks.

Meanwhile only the owner of a session that had work may take its lease, and fresh commands wait.
"""

import logging
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.core.clock import coalesced_sleep
from pipeline.eventlog.event_log import TOMBSTONE_S, Batch, EventLog, Outcome, Verdict
from pipeline.eventlog.producer_queue import weight
from schemas.errors import LogError, LogUnavailable
from schemas.ids import Seq, SessionId

GRACE_S: Final = 5.0
"""Longer than an owner needs to find the new server and to give back what that one lacks."""
RETURN_S: Final = 0.1
"""Longer than all that is given back of a session needs to come, once the first of it has."""
REMEMBERED: Final = 65_536


@dataclass(frozen=True, slots=True)
class _BlockedSession:
    """End of a session at the time `at_s`."""

    end: Seq
    at_s: float
    moved: bool = False
    """Something has come since the failover."""


class FailoverHold:
    """Sessions that had work at a failover: who held their lease goes on at once, everybody else waits.

    A taker would go on from where the new server's copy ends, while the last events, which everybody has
    heard, are still on their way back from the owner. Sessions without work had nothing to lose: the ends
    of turns count only once replicas have them. For the same reason a fresh command waits until the owner
    has spoken: it would take the place of an event that everybody has heard.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._held: OrderedDict[SessionId, str] = OrderedDict()
        self._until: dict[SessionId, float] = {}
        self._blocked: dict[SessionId, _BlockedSession] = {}
        """Their owners have said nothing new yet."""

    def suspect(self, ends: Mapping[SessionId, Seq]) -> None:
        """These had work, and ended there, when their server was found to be another one: now."""
        now = time.monotonic()
        self._until = {session: at for session, at in self._until.items() if at > now}
        self._until |= dict.fromkeys(ends, now + self._grace_s)
        self._blocked = {session: end for session, end in self._blocked.items() if session in self._until}
        self._blocked |= {session: _BlockedSession(end, now) for session, end in ends.items()}

    def see(self, session: SessionId, end: Seq, *, busy: bool) -> None:
        """It ends there now. Events that come first may be replayed ones; later ones are new."""
        if (blocked := self._blocked.get(session)) is None:
            return
        if not busy or (blocked.moved and end > blocked.end and time.monotonic() - blocked.at_s > RETURN_S):
            del self._blocked[session]
        elif not blocked.moved and end > blocked.end:
            self._blocked[session] = _BlockedSession(end, time.monotonic(), moved=True)

    def may_speak(self, session: SessionId) -> bool:
        return session not in self._blocked or self.passed(session)

    def passed(self, session: SessionId) -> bool:
        return time.monotonic() >= self._until.get(session, 0.0)

    def may_take(self, session: SessionId, owner: str) -> bool:
        return self.passed(session) or self._held.get(session) == owner

    def taken(self, session: SessionId, owner: str) -> None:
        self._held[session] = owner
        self._held.move_to_end(session)
        if len(self._held) > REMEMBERED:
            self._held.popitem(last=False)

    def gone(self, session: SessionId, owner: str) -> None:
        if self._held.get(session) == owner:
            del self._held[session]


RETAINED_BYTES: Final = 64 << 20
"""Beyond it the oldest are let go early."""
LONGEST_S: Final = TOMBSTONE_S / 2
"""However long the log is away: what is erased must not come back when nobody knows of it any more."""


@dataclass(eq=False, slots=True)
class _Kept:
    since_s: float
    """When it was first in the log."""
    at_s: float
    """When it was last given to the log."""
    batch: Batch
    first: Seq


class UnreplicatedTail:
    """Acknowledged batches by session: each until it is `retain_s` old and its server is well.

    That the server is well shows when it takes another batch of the session, or when somebody looks. Until
    `let_go` says so nothing is, so that an outage may be longer than `retain_s`: for LONGEST_S at most.
    """

    def __init__(self, retain_s: float) -> None:
        self._retain_s = retain_s
        self._order: OrderedDict[_Kept, None] = OrderedDict()
        self._by_session: OrderedDict[SessionId, deque[_Kept]] = OrderedDict()
        """The session that was written last is last."""
        self._bytes = 0

    def keep(self, batch: Batch, outcome: Outcome, now_s: float) -> None:
        kept = _Kept(now_s, now_s, batch, outcome.first)
        self._order[kept] = None
        self._by_session.setdefault(batch.session, deque()).append(kept)
        self._by_session.move_to_end(batch.session)
        self._bytes += weight(batch.events)
        while self._bytes > RETAINED_BYTES:
            self._drop_oldest()

    def let_go(self, session: SessionId, now_s: float) -> None:
        """Its server is well: what is older than `retain_s` has copies elsewhere by now."""
        mine = self._by_session.get(session)
        while mine and now_s - mine[0].at_s > self._retain_s:
            self._forget(mine.popleft())
        if mine is not None and not mine:
            del self._by_session[session]

    def let_go_of_the_oldest(self, now_s: float) -> int:
        """How many batches are dropped for being older than LONGEST_S, wherever their server is."""
        before = len(self._order)
        while self._order and now_s - next(iter(self._order)).since_s > LONGEST_S:
            self._drop_oldest()
        return before - len(self._order)

    def erase(self, session: SessionId) -> None:
        """The session was deleted: nothing of it may ever come back."""
        for kept in self._by_session.pop(session, ()):
            self._forget(kept)

    def renew(self, session: SessionId, now_s: float) -> None:
        """All of it was just given back: again it is nowhere but on one server."""
        for kept in self._by_session.get(session, ()):
            kept.at_s = now_s
        if session in self._by_session:
            self._by_session.move_to_end(session)

    def idle(self, now_s: float) -> list[SessionId]:
        """Those of which everything is older than `retain_s`: somebody should look at their servers."""
        found = []
        for session, mine in self._by_session.items():
            if now_s - mine[-1].at_s <= self._retain_s:
                break
            found.append(session)
        return found

    @property
    def sessions(self) -> list[SessionId]:
        return list(self._by_session)

    def beyond(self, session: SessionId, head: Seq) -> list[Batch]:
        """Batches to append again when the log ends at `head`: each at its old place or not at all."""
        kept = sorted(self._by_session.get(session, ()), key=lambda one: one.first)
        return [replace(one.batch, expected=one.first - 1) for one in kept if one.first > head]

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._order))
        session = oldest.batch.session
        self._by_session[session].popleft()
        if not self._by_session[session]:
            del self._by_session[session]
        self._forget(oldest)

    def _forget(self, kept: _Kept) -> None:
        del self._order[kept]
        self._bytes -= weight(kept.batch.events)


WATCH_S: Final = 0.25
ATTEND_S: Final = 1.0
"""Servers that nobody here writes to are looked at so often."""
_IDLE_INTERVALS: Final = 5
"""Intervals from one look to the next while this process retains nothing that a server could lack."""
SHARDS_AT_ONCE: Final = 8
"""Roads on which something is given back at the same time."""
GAP_S: Final = 8.0
"""So long what others wrote in between may be missing: longer than fresh commands wait (GRACE_S)."""
DELETIONS: Final = 4_096
"""So many that are not certain yet are tried again here; the oldest are left to whoever asked for them."""
_THERE: Final = (Verdict.OK, Verdict.DUP, Verdict.UNREPLICATED)
"""Right after a failover there is no second copy."""
_NOT_YET: Final = (Verdict.CONFLICT, Verdict.PRODUCER_GAP, Verdict.NO_SESSION, Verdict.ARCHIVE_AWAY)
"""The log lacks what precedes the batch, even the session's beginning; or the answer is not known."""
_logger = logging.getLogger(__name__)


class Given(Enum):
    """Result of giving a session's tail back to the log."""

    NOTHING = 0
    """The missing events have no place in the log any more."""
    WHOLE = 3
    """Nothing is missing of what we have."""
    SOME = 1
    """The rest follows what somebody else has to give back first."""
    ALL = 2


class FailoverReplayer:
    """Each shard apart: a server that is slow or away delays only the sessions that it holds.

    Events that cannot be replayed now are tried again for as long as they are retained.
    """

    def __init__(
        self, log: EventLog, retained: UnreplicatedTail, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._retained = retained
        self._now_s = now_s
        self._uncertain: dict[SessionId, None] = {}
        """Deleted by servers that may yet be lost, or by none so far."""
        self._seen = log.failovers
        self._owed: dict[SessionId, None] = {}
        self._given: set[SessionId] = set()
        """Sessions that are examined now, or next in their shard."""
        self._under_way: set[str] = set()
        self._gaps: dict[SessionId, float] = {}
        """Since when something of others is missing."""

    async def run(self) -> None:
        """For ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._attend)
            tasks.start_soon(self._insist)
            while True:
                await coalesced_sleep(WATCH_S)
                before, self._seen = self._seen, self._log.failovers
                if self._seen != before:
                    self._owed = dict.fromkeys(self._retained.sessions)
                self._begin(tasks)

    def owes_nothing(self, session: SessionId) -> bool:
        """The server of today is the one that took all we have of the session, or has been given it."""
        waits = session in self._owed or session in self._given
        return not waits and self._seen == self._log.failovers

    def _begin(self, tasks: TaskGroup) -> None:
        kept = set(self._retained.sessions) if self._owed else set()
        shards: dict[str, list[SessionId]] = defaultdict(list)
        for session in list(self._owed):
            if session not in kept:
                del self._owed[session]
                self._gaps.pop(session, None)
            elif (shard := self._log.shard_of(session)) not in self._under_way:
                shards[shard].append(session)
        for shard, sessions in list(shards.items())[: SHARDS_AT_ONCE - len(self._under_way)]:
            for session in sessions:
                del self._owed[session]  # here, so that the next failover can ask for it anew
            self._under_way.add(shard)
            self._given.update(sessions)
            tasks.start_soon(self._go, shard, sessions)

    async def _go(self, shard: str, sessions: list[SessionId]) -> None:
        try:
            for at, session in enumerate(sessions):
                try:
                    if await self.give_back(session) is Given.SOME:
                        self._owed[session] = None
                except LogError as error:
                    _logger.warning("cannot see what the log lacks, or give it back: %s", error)
                    # The others to the front: one session's trouble is no reason to forget theirs.
                    self._owed |= dict.fromkeys([*sessions[at + 1 :], session])
                    return
        finally:
            self._under_way.discard(shard)
            self._given.difference_update(sessions)

    async def give_back(self, session: SessionId) -> Given:
        """Each batch at its old place or not at all: whoever listens has read them there."""
        [head] = await self._log.heads([session])
        if head is not None and head.state == "deleted":
            self._retained.erase(session)
            return Given.NOTHING
        given = await self._give_back(session, head.seq if head else Seq(0))
        if given is Given.ALL:
            self._retained.renew(session, self._now_s())
        elif given is not Given.SOME:
            self._retained.let_go(session, self._now_s())
        return given

    async def _give_back(self, session: SessionId, head: Seq) -> Given:
        lost = self._retained.beyond(session, head)
        outcomes = await self._log.append(lost) if lost else []
        placed = [
            outcome.verdict is Verdict.STALE
            or (outcome.verdict in _THERE and outcome.first == batch.expected + 1)
            for batch, outcome in zip(lost, outcomes, strict=True)
        ]
        # Stale: somebody else here has given back this one and the next of its writer meanwhile.
        refused = {outcome.verdict for outcome in outcomes} - {*_THERE, *_NOT_YET, Verdict.STALE}
        if refused or all(placed):
            self._gaps.pop(session, None)
            return Given.NOTHING if refused else Given.ALL if lost else Given.WHOLE
        if any(outcome.verdict is Verdict.ARCHIVE_AWAY for outcome in outcomes):
            self._gaps.pop(session, None)  # so long nothing is known to be missing
            return Given.SOME
        since = self._gaps.setdefault(session, self._now_s())
        if self._now_s() - since > GAP_S:
            del self._gaps[session]
            return Given.NOTHING
        return Given.SOME

    async def erase(self, session: SessionId) -> None:
        """Delete it and let go of it; raises as `EventLog.delete`.

        A deletion without a certain outcome is tried again.
        """
        try:
            await self._log.delete(session)
        except LogUnavailable:
            self._uncertain[session] = None
            if len(self._uncertain) > DELETIONS:
                del self._uncertain[next(iter(self._uncertain))]
            raise
        self.forget(session)

    def forget(self, session: SessionId) -> None:
        """It is known to be deleted."""
        self._retained.erase(session)
        self._uncertain.pop(session, None)
        self._gaps.pop(session, None)

    async def _insist(self) -> None:
        while True:
            await coalesced_sleep(ATTEND_S)
            for session in list(self._uncertain):
                with suppress(LogError):
                    await self.erase(session)

    async def _attend(self) -> None:
        while True:
            await self.look()
            for _ in range(_IDLE_INTERVALS):
                await coalesced_sleep(ATTEND_S)
                if self._retained.sessions:
                    break

    async def look(self) -> None:
        """At the servers, and at sessions that nobody here has written to for a while.

        Their events that the log has by now are safe; those that it lacks are replayed.
        """
        if dropped := self._retained.let_go_of_the_oldest(self._now_s()):
            _logger.error("%d batches were kept for a server that was away for too long", dropped)
        try:
            await self._log.attend()
        except LogError as error:
            _logger.debug("the log's servers cannot be looked at: %s", error)
            return
        self._owed |= dict.fromkeys(self._retained.idle(self._now_s()))
