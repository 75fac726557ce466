"""Whose a session is: said by its first fact, and never changed."""

from collections import OrderedDict
from typing import Final

from pipeline.log.base import EventLog
from schemas.ids import Seq, SessionId

_KNOWN: Final = 20_000


class Ownership:
    """Reads the first fact of each session once."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: OrderedDict[SessionId, str] = OrderedDict()

    async def of(self, session: SessionId) -> str | None:
        """The principal's name; None where there is no such session (any more)."""
        if session in self._known:
            self._known.move_to_end(session)
            return self._known[session]
        first = await self._log.read(session, Seq(0), limit=1)
        if not first or first[0].type != "session.started":
            return None
        principal: str = first[0].data.get("principal", "")
        self._known[session] = principal
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return principal
