"""Sees to it that what was said stays said, and what was deleted deleted, whatever becomes of a server.

A server that came in another's place is given what it lacks, also where nobody has anything to say now.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.eventlog.event_log import EventLog, Verdict
from pipeline.eventlog.redis.failover.unreplicated_tail import UnreplicatedTail
from schemas.errors import LogError, LogUnavailable
from schemas.ids import Seq, SessionId

WATCH_S: Final = 0.2
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
    """Each road for itself: a server that is slow or away holds up what belongs to it, no more.

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
        """Those that are looked at now, or next on their road."""
        self._under_way: set[str] = set()
        self._gaps: dict[SessionId, float] = {}
        """Since when something of others is missing."""

    async def run(self) -> None:
        """For ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._attend)
            tasks.start_soon(self._insist)
            while True:
                await anyio.sleep(WATCH_S)
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
            await anyio.sleep(ATTEND_S)
            for session in list(self._uncertain):
                with suppress(LogError):
                    await self.erase(session)

    async def _attend(self) -> None:
        while True:
            await self.look()
            for _ in range(_IDLE_INTERVALS):
                await anyio.sleep(ATTEND_S)
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
