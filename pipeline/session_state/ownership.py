"""The principal of a session: its first event names it, and it never changes."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from pipeline.eventlog.event_log import EventLog
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

_KNOWN: Final = 20_000


class Ownership:
    """Reads the first event of each session once."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: OrderedDict[SessionId, tuple[str, str]] = OrderedDict()

    async def of(self, session: SessionId) -> str | None:
        """The principal's name; None where there is no such session (any more)."""
        known = await self._first(session)
        return None if known is None else known[0]

    async def shared(self, session: SessionId) -> bool:
        """Whether others may take part in it: only threads have members."""
        known = await self._first(session)
        return known is not None and known[1] == "thread"

    async def _first(self, session: SessionId) -> tuple[str, str] | None:
        """Principal and kind."""
        if session in self._known:
            self._known.move_to_end(session)
            return self._known[session]
        first = await self._log.read(session, Seq(0), limit=1)
        if not first or first[0].type != "session.started":
            return None
        data = first[0].data
        known = self._known[session] = (data.get("principal", ""), data.get("kind", "session"))
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return known


def without_label(recorded: Recorded) -> Recorded:
    """The event without the name of a share link, which is its maker's note."""
    if recorded.type != "share.created":
        return recorded
    return replace(recorded, data={**recorded.data, "label": ""})
