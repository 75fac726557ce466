"""Sessions that connections hold in memory, each for itself: bounded for each principal and for all."""

import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from schemas.errors import GatewayBusy
from schemas.errors.access_errors import ListenerLimit
from schemas.settings.limit_settings import LimitSettings

_RETRY_S: Final = 5.0


class HeldSessions:
    """The first one of a principal, or of all, is always taken. One thread only."""

    def __init__(self, limits: LimitSettings) -> None:
        self.limits = limits
        self._bytes: Counter[str] = Counter()
        self._held: dict[tuple[str, int], list[int]] = {}
        """By principal and session in memory: how many hold it, and its bytes."""
        self._gone: deque[tuple[str, int]] = deque()
        """Let go of, in whichever thread that was noticed."""

    def hold(
        self,
        holder: object,
        principal: str,
        size: int,
        what: str = "long sessions",
        *,
        of: object = None,
        beside: int = 0,
    ) -> Callable[[], object]:
        """Counts a session, or `what` it is, of so many bytes until nobody refers to `holder` any more, or
        until what is returned is called.

        `of`: the session where others may hold the same one, which counts once. `beside`: bytes that were
        counted for the same answer before. Raises GatewayBusy or ListenerLimit.
        """
        self._give_back()
        held = (principal, id(holder if of is None else of))
        if held in self._held:
            self._held[held][0] += 1
        else:
            self._check(principal, size, what, beside)
            self._held[held] = [1, size]
            self._bytes[principal] += size
        return weakref.finalize(holder, self._let_go, held, of)  # which has its place in memory until then

    def _let_go(self, held: tuple[str, int], _of: object) -> None:
        self._gone.append(held)

    def _give_back(self) -> None:
        while self._gone:
            held = self._gone.popleft()
            self._held[held][0] -= 1
            if not self._held[held][0]:
                self._bytes[held[0]] -= self._held.pop(held)[1]
        self._bytes += Counter()  # principals without any are forgotten

    def _check(self, principal: str, size: int, what: str, beside: int) -> None:
        own, total = self._bytes[principal], self._bytes.total()
        most = (self.limits.principal if principal else self.limits.everybody).held_bytes
        if most is not None and own > beside and own + size > most:
            fault = f"connections of one principal hold as many {what} as they may"
            raise ListenerLimit(fault, retry_after_s=_RETRY_S)
        if total > beside and total + size > self.limits.held_bytes:
            raise GatewayBusy(f"this replica holds as many {what} as it can; try again shortly")
