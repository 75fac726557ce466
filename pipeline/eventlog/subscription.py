"""One listener's place in one session, and what has been pushed to it. No I/O."""

import asyncio
from collections import deque
from collections.abc import Sequence

from pipeline.eventlog.event_log import Push
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

ENDING = "session.ended"


class LogListener:
    """Holds at most `buffer` pushed events: one more and all are let go, to be read again from the log."""

    def __init__(self, session: SessionId, after: Seq, *, audio: bool, buffer: int) -> None:
        self.session = session
        self.cursor = after
        """The last event that was delivered."""
        self.audio = audio
        self.ended = False
        self._buffer = buffer
        self._pushed: deque[Push] = deque()
        self._held = 0
        self._news = asyncio.Event()

    def offer(self, push: Push) -> None:
        """Never blocks: a slow listener loses its queue, not the events."""
        if push.events:
            self._pushed.append(push)
            self._held += len(push.events)
            if self._held > self._buffer:
                self._pushed.clear()
                self._held = 0
        self.wake()

    def wake(self) -> None:
        self._news.set()

    async def news(self, patience_s: float | None) -> bool:
        """True at the next `offer` or `wake`, one that has come since the last `news` included.

        False when there was none for `patience_s`.
        """
        try:
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def take(self) -> list[Recorded]:
        """What was pushed and comes next, without a gap; [] where nothing does."""
        events: list[Recorded] = []
        while self._pushed and self._pushed[0].first <= self.cursor + 1:
            push = self._pushed.popleft()
            self._held -= len(push.events)
            events += self.deliver(push.events[max(0, self.cursor + 1 - push.first) :])
        return events

    def deliver(self, events: Sequence[Recorded]) -> Sequence[Recorded]:
        """The same events, which now count as delivered."""
        if events:
            self.cursor = events[-1].seq
            self.ended = events[-1].type == ENDING
        return events
