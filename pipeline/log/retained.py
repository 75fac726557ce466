"""The last seconds of what this process has written, to give back to a log that lost its end. No I/O."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from pipeline.log.base import Batch, Outcome
from pipeline.log.lane import weight
from schemas.ids import Seq, SessionId

RETAINED_BYTES: Final = 64 << 20
"""Beyond it the oldest are let go early."""


@dataclass(frozen=True, slots=True)
class _Kept:
    at_s: float
    batch: Batch
    first: Seq
    last: Seq


class RetainedTail:
    """Acknowledged batches, at least `retain_s` old ones included, by session in the log's order."""

    def __init__(self, retain_s: float) -> None:
        self._retain_s = retain_s
        self._order: deque[_Kept] = deque()
        self._by_session: dict[SessionId, deque[_Kept]] = {}
        self._bytes = 0

    def keep(self, batch: Batch, outcome: Outcome, now_s: float) -> None:
        kept = _Kept(now_s, batch, outcome.first, outcome.last)
        self._order.append(kept)
        self._by_session.setdefault(batch.session, deque()).append(kept)
        self._bytes += weight(batch.facts)
        self._let_go(now_s)

    def _let_go(self, now_s: float) -> None:
        while self._order and (now_s - self._order[0].at_s > self._retain_s or self._bytes > RETAINED_BYTES):
            old = self._order.popleft()
            self._bytes -= weight(old.batch.facts)
            session = self._by_session[old.batch.session]
            session.popleft()
            if not session:
                del self._by_session[old.batch.session]

    @property
    def sessions(self) -> list[SessionId]:
        return list(self._by_session)

    def beyond(self, session: SessionId, head: Seq) -> list[Batch]:
        """What the log must be given again when it ends at `head`: each at its old place or not at all."""
        kept = sorted(self._by_session.get(session, ()), key=lambda one: one.first)
        return [replace(one.batch, expected=one.first - 1) for one in kept if one.first > head]
