"""Gives a server that came in another's place what it lacks, also where nobody has anything to say now."""

import logging
import time
from collections import defaultdict
from enum import Enum
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.log.base import EventLog, Verdict
from pipeline.log.retained import RetainedTail
from schemas.errors import LogError
from schemas.ids import Seq, SessionId

WATCH_S: Final = 0.2
ATTEND_S: Final = 1.0
"""Servers that nobody here writes to are looked at so often."""
ROADS: Final = 8
"""Roads on which something is given back at the same time."""
GAP_S: Final = 8.0
"""So long what others wrote in between may be missing: longer than fresh commands wait (GRACE_S)."""
_THERE: Final = (Verdict.OK, Verdict.DUP, Verdict.UNREPLICATED)
"""Right after a failover there is no second copy."""
_NOT_YET: Final = (Verdict.CONFLICT, Verdict.PRODUCER_GAP, Verdict.NO_SESSION)
"""What is before it is missing, even the session's beginning, and then what follows it."""
_logger = logging.getLogger(__name__)


class Given(Enum):
    """What the log has got back of a session."""

    NOTHING = 0
    """What is missing has no place there any more."""
    WHOLE = 3
    """Nothing is missing of what we have."""
    SOME = 1
    """The rest follows what somebody else has to give back first."""
    ALL = 2


class Returner:
    """Each road for itself: a server that is slow or away holds up what belongs to it, no more.

    What cannot be given back now is tried again for as long as it is retained.
    """

    def __init__(self, log: EventLog, retained: RetainedTail) -> None:
        self._log = log
        self._retained = retained
        self._owed: dict[SessionId, None] = {}
        self._under_way: set[str] = set()
        self._gaps: dict[SessionId, float] = {}
        """Since when something of others is missing."""

    async def run(self) -> None:
        """For ever."""
        seen = self._log.failovers
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._attend)
            while True:
                await anyio.sleep(WATCH_S)
                before, seen = seen, self._log.failovers
                if seen != before:
                    self._owed = dict.fromkeys(self._retained.sessions)
                self._begin(tasks)

    def _begin(self, tasks: TaskGroup) -> None:
        kept = set(self._retained.sessions) if self._owed else set()
        roads: dict[str, list[SessionId]] = defaultdict(list)
        for session in list(self._owed):
            if session not in kept:
                del self._owed[session]
            elif (road := self._log.road(session)) not in self._under_way:
                roads[road].append(session)
        for road, sessions in list(roads.items())[: ROADS - len(self._under_way)]:
            for session in sessions:
                del self._owed[session]  # here, so that the next failover can ask for it anew
            self._under_way.add(road)
            tasks.start_soon(self._go, road, sessions)

    async def _go(self, road: str, sessions: list[SessionId]) -> None:
        try:
            for at, session in enumerate(sessions):
                try:
                    if await self.give_back(session) is Given.SOME:
                        self._owed[session] = None
                except LogError as error:
                    _logger.warning("cannot give the log back what it lost: %s", error)
                    # The others to the front: one session's trouble is no reason to forget theirs.
                    self._owed |= dict.fromkeys([*sessions[at + 1 :], session])
                    return
        finally:
            self._under_way.discard(road)

    async def give_back(self, session: SessionId) -> Given:
        """Each batch at its old place or not at all: whoever listens has read them there."""
        [head] = await self._log.heads([session])
        lost = self._retained.beyond(session, head.seq if head else Seq(0))
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
        since = self._gaps.setdefault(session, time.monotonic())
        if time.monotonic() - since > GAP_S:
            del self._gaps[session]
            return Given.NOTHING
        return Given.SOME

    async def _attend(self) -> None:
        while True:
            try:
                await self._log.attend()
            except LogError as error:
                _logger.debug("the log's servers cannot be looked at: %s", error)
            await anyio.sleep(ATTEND_S)
