"""The last seconds of what this process has written, to give back to a log that lost its end. No I/O."""

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Final

from pipeline.eventlog.event_log import TOMBSTONE_S, Batch, Outcome
from pipeline.eventlog.producer_queue import weight
from schemas.ids import Seq, SessionId

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
