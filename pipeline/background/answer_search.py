"""Words in answers: looked for in the logs of sessions, when a user asks for it."""

from collections.abc import Collection
from typing import Final

from pipeline.core.clock import Clock
from pipeline.eventlog.event_log import EventLog
from schemas.errors import ArchiveDamaged, LogLost
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

LONGEST_S: Final = 2.0
"""Seconds after which no further session is begun, and after as many more the one that was begun is left."""
_PAGE: Final = 200
"""Events read at a time: a millisecond or two of the event loop."""
_MOST: Final = 20_000
"""Events of one session that are looked at: about 180 spoken answers of eight sentences."""


class AnswerSearch:
    """One search, which begins when it is made. It pauses after each page for as long as that took."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._end_s = clock.monotonic() + LONGEST_S

    @property
    def is_over(self) -> bool:
        return self._clock.monotonic() >= self._end_s

    async def finds(self, session: SessionId, words: Collection[str]) -> bool:
        """Whether all the words, in lower case, are in its questions and answers.

        False for a session of which the log or the archive has lost a part, and for one that takes too long.
        Raises LogUnavailable.
        """
        missing, longest = set(words), max(map(len, words), default=0)
        text, turn, after = "", 0, Seq(0)
        while missing and after < _MOST and self._clock.monotonic() < self._end_s + LONGEST_S:
            if not (page := await self._read(session, after)):
                break
            after = page[-1].seq
            parts = [text[-longest:]]  # a word may lie on two pages
            for event in page:
                if event.type in ("text.delta", "turn.requested"):
                    parts += ["" if event.turn == turn else "\n", event.data["text"].casefold()]
                    turn = event.turn
            text = "".join(parts)
            missing = {word for word in missing if word not in text}
        return not missing

    async def _read(self, session: SessionId, after: Seq) -> list[Recorded]:
        began_s = self._clock.monotonic()
        try:
            page = await self._log.read(session, after, limit=_PAGE)
        except (ArchiveDamaged, LogLost):
            return []
        await self._clock.sleep(self._clock.monotonic() - began_s)
        return page
