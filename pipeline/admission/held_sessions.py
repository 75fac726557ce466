"""Sessions that connections hold in memory, each for itself: bounded for each principal and for all."""

import weakref
from collections import Counter, deque
from typing import Final

from schemas.errors import GatewayBusy
from schemas.errors.access_errors import ListenerLimit

HELD_BYTES: Final = 256 << 20
"""Data of the events of all that are held, in Realtime connections 18 times as much at worst; a quarter of it
is one principal's."""
_RETRY_S: Final = 5.0


class HeldSessions:
    """The first one of a principal, or of all, is always taken. One thread only."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()
        self._gone: deque[tuple[str, int]] = deque()
        """Let go of, in whichever thread that was noticed."""

    def hold(self, holder: object, principal: str, size: int, what: str = "long sessions") -> None:
        """Counts a session, or `what` it is, of so many bytes until nobody refers to `holder` any more.

        Raises GatewayBusy or ListenerLimit.
        """
        while self._gone:
            whose, gone = self._gone.popleft()
            self._bytes[whose] -= gone
        self._bytes += Counter()  # principals without any are forgotten
        own, total = self._bytes[principal], self._bytes.total()
        if principal and own and own + size > HELD_BYTES // 4:
            fault = f"connections of one principal hold as many {what} as they may"
            raise ListenerLimit(fault, retry_after_s=_RETRY_S)
        if total and total + size > HELD_BYTES:
            raise GatewayBusy(f"this replica holds as many {what} as it can; try again shortly")
        self._bytes[principal] += size
        weakref.finalize(holder, self._gone.append, (principal, size))
