"""Decides which owner may take a lease and which commands are accepted right after a failover. No I/O."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
