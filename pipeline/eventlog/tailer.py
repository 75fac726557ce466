"""Listeners of a process on one subscription: each sees each event once, in order, whatever breaks."""

import asyncio
import logging
import math
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from pipeline.core.clock import coalesced
from pipeline.eventlog.event_log import EventLog, Head, Push, PushSubscription, Subscribed
from schemas.errors import (
    ArchiveDamaged,
    ArchiveUnavailable,
    CursorAhead,
    LogError,
    LogUnavailable,
    SessionGone,
    SessionNotFound,
)
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.native.native_messages import LogState

ENDING = "session.ended"
WAITING: Final = 64
"""Events that can wait for others do so until there are as many; more: the listener is woken less often."""


_PUSHED_BYTES: Final = 64 << 10
"""Data of the pushed events that one listener holds, as objects fifty times as much at worst."""


class LogListener:
    """Holds at most `buffer` pushed events: one more and all are let go, to be read again from the log."""

    def __init__(
        self,
        session: SessionId,
        after: Seq,
        *,
        audio: bool,
        buffer: int,
        can_wait: Callable[[Recorded], bool] | None = None,
    ) -> None:
        """`can_wait`: as `Tailer.follow`."""
        self.session = session
        self.cursor = after
        """The last event that was delivered."""
        self.audio = audio
        self.ended = False
        self._buffer = buffer
        self._can_wait = can_wait
        self._pushed: deque[Push] = deque()
        self._held = 0
        self._bytes = 0
        """Data of the events that are held."""
        self._changed = asyncio.Event()

    def offer(self, push: Push) -> None:
        """Never blocks: a slow listener loses its queue, not the events."""
        if push.events:
            end = self._pushed[-1].last if self._pushed else self.cursor
            self._pushed.append(push)
            self._held += len(push.events)
            self._bytes += push.bytes
            if self._held > self._buffer or self._bytes > _PUSHED_BYTES:
                self._pushed.clear()
                self._held = self._bytes = 0
            elif (
                self._can_wait
                and push.first <= end + 1
                and self._held < WAITING
                and all(map(self._can_wait, push.events))
            ):
                return
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    async def changed(self) -> None:
        """Return at the next `offer` or `wake`, one that has come since the last `changed` included."""
        await self._changed.wait()
        self._changed.clear()

    def take(self) -> list[Recorded]:
        """The pushed events that come next, without a gap; [] if there are none."""
        events: list[Recorded] = []
        while self._pushed and self._pushed[0].first <= self.cursor + 1:
            push = self._pushed.popleft()
            self._held -= len(push.events)
            self._bytes -= push.bytes
            events += self.deliver(push.events[max(0, self.cursor + 1 - push.first) :])
        return events

    def deliver(self, events: Sequence[Recorded]) -> Sequence[Recorded]:
        """The same events, which now count as delivered."""
        if events:
            self.cursor = events[-1].seq
            self.ended = events[-1].type == ENDING
        return events


WATCH_S: Final = 0.75
"""A lost last push is noticed within this time."""
PAGE: Final = 500
LONG: Final = 64 << 10
"""Bytes that take a millisecond to be made ready and sent."""
AT_ONCE: Final = 8
"""Short events that a listener gets in one turn of the loop; faces take 20 to 60 µs for each. With a larger
value others wait longer while hundreds of listeners are at the same place."""
START: Final = Seq(0)
_logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Feed:
    """A session that somebody listens to."""

    listeners: set[LogListener] = field(default_factory=set)
    head: Seq = START
    """As far as we know."""
    news: Seq = START
    """The last event that is more than recorded sound, as far as we know."""
    failure: Exception | None = None
    subscribed: bool = False
    quiet: bool = True
    """No push since the last look at the heads."""
    away: bool = False
    """The last look at the head got no answer."""

    def wake(self) -> None:
        for listener in self.listeners:
            listener.wake()

    def reach(self, head: Seq) -> None:
        """The session has so many events; those that were not pushed may be anything."""
        if head > self.head:
            self.head = self.news = head


class _IdleTimer:
    """Calls `wake` once `idle_s` have passed since `restart`; events only note the time, no timer is set."""

    def __init__(self, idle_s: float | None, wake: Callable[[], None]) -> None:
        """None: never."""
        self._loop = asyncio.get_running_loop()
        self._idle_s = math.inf if idle_s is None else idle_s
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None
        self.restart()

    def restart(self) -> None:
        self._due = self._loop.time() + self._idle_s

    def over(self) -> bool:
        """Whether the time is over; if not, `wake` is called when it is."""
        if self._loop.time() >= self._due:
            return True
        if self._handle is None and self._due < math.inf:
            self._handle = self._loop.call_at(self._due, self._look)
        return False

    def _look(self) -> None:
        self._handle = None
        self._wake()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class Tailer:
    """Pushes are handed on as they come; a gap, however it arose, is read from the log.

    A listener that has seen more than the log has (the server lost its end) gets nothing until there is more.
    """

    def __init__(
        self, log: EventLog, *, watch_s: float = WATCH_S, delivered: Callable[[int], None] = lambda _: None
    ) -> None:
        """`delivered` is told the time of the latest event of each push."""
        self._log = log
        self._delivered = delivered
        self._watch_s = watch_s
        self._feeds: dict[SessionId, _Feed] = {}
        self._suspects: set[SessionId] = set()
        """Sessions whose head must be looked at now."""
        self._look = anyio.Event()
        self._checking: set[str] = set()
        """Roads on which heads are looked at right now."""
        self._reads: dict[tuple[SessionId, Seq, bool], asyncio.Future[list[Recorded]]] = {}
        self._long = anyio.Lock()
        self._subscription: PushSubscription
        self._tasks: TaskGroup

    @property
    def audience(self) -> tuple[int, int]:
        """Sessions that somebody listens to here, and how many listeners that is."""
        return len(self._feeds), sum(len(feed.listeners) for feed in self._feeds.values())

    async def __aenter__(self) -> Self:
        self._subscription = self._log.push_subscription()
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._listen)
        self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_up(LogUnavailable("This process is closing its log."))
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        await self._subscription.aclose()

    @asynccontextmanager
    async def follow(
        self,
        session: SessionId,
        after: Seq,
        *,
        audio: bool = False,
        buffer: int = 256,
        idle_s: float | None = None,
        head: Head | None = None,
        can_wait: Callable[[Recorded], bool] | None = None,
    ) -> AsyncIterator[AsyncGenerator[list[Recorded], None]]:
        """The events after `after` in batches: first what there is, then as it happens, to the session's end.

        Without `audio` the events may or may not carry their bytes. With `idle_s` an empty batch says that
        nothing came for so long, or that the log has fallen silent or is back: see `state`. `head`: the
        session's, as the caller has found it a moment ago, `after` within it; None: it is asked for. Events
        that `can_wait` (None: none) come with the next one that cannot, or `WAITING` together. Raises
        SessionNotFound, SessionGone and CursorAhead on entering; SessionGone also later, when the session is
        deleted under the listener.
        """
        listener = LogListener(session, after, audio=audio, buffer=buffer, can_wait=can_wait)
        feed = self._feeds.setdefault(session, _Feed())
        feed.listeners.add(listener)
        try:
            if not feed.subscribed:
                await self._subscription.subscribe(session)
                feed.subscribed = True
            present = _present(head or (await self._log.heads([session]))[0])
            if head is None and after > present.seq:
                raise CursorAhead(f"The session has {present.seq} events, not {after}.")
            listener.ended = present.state != "live" and after == present.seq
            feed.reach(present.seq)
            async with aclosing(self._batches(listener, feed, idle_s)) as batches:
                yield batches
        finally:
            feed.listeners.discard(listener)
            if not feed.listeners:
                del self._feeds[session]
                with anyio.CancelScope(shield=True):
                    await self._subscription.unsubscribe(session)

    def state(self, session: SessionId) -> LogState:
        """Whether what is new in a session that is followed here can be seen now."""
        feed = self._feeds.get(session)
        return "unavailable" if feed is not None and feed.away else self._log.state

    def news(self, session: SessionId) -> Seq | None:
        """The last event of a session that is more than recorded sound, as the log has announced it.

        None where nobody follows the session here yet, or the log may have fallen silent.
        """
        feed = self._feeds.get(session)
        if feed is None or feed.away or feed.failure is not None or feed.news == START:
            return None
        return feed.news

    async def _batches(
        self, listener: LogListener, feed: _Feed, idle_s: float | None
    ) -> AsyncGenerator[list[Recorded], None]:
        idle = _IdleTimer(idle_s, listener.wake)
        away = False
        try:
            while not listener.ended:
                events = listener.take()
                if not events and feed.head > listener.cursor:
                    events = list(listener.deliver(await self._read(listener)))
                if events:
                    held, events = await self._parts(events), []
                    while held:
                        yield held.popleft()
                        if held:
                            await anyio.lowlevel.checkpoint()
                    idle.restart()
                elif feed.failure is not None:
                    raise feed.failure
                elif feed.away is not away:
                    away = feed.away
                    if idle_s is not None:
                        yield []
                elif idle.over():
                    yield []
                    idle.restart()
                else:  # the watch wakes listeners more often than `idle_s`: the time goes on counting down
                    await listener.changed()
        finally:
            idle.stop()

    async def _parts(self, events: list[Recorded]) -> deque[list[Recorded]]:
        """The events that a listener gets in each turn of the loop: few short ones, or all when its own turn
        comes where they are long, since nothing but its connection may hold them."""
        if sum(event.size + len(event.audio or b"") for event in events) > LONG:
            await self.others_first()
            return deque([events])
        return deque(events[at : at + AT_ONCE] for at in range(0, len(events), AT_ONCE))

    async def _read(self, listener: LogListener) -> list[Recorded]:
        """Listeners at the same place share one read. [] while the log is away: the watch tries again."""
        place = (listener.session, listener.cursor, listener.audio)
        reading = self._reads.get(place)
        if reading is None:
            reading = self._reads[place] = asyncio.get_running_loop().create_future()
            self._tasks.start_soon(self._read_for_all, place, reading)
        return await asyncio.shield(reading)

    async def others_first(self) -> None:
        """Call it before something long that many listeners get at the same moment: each then has a turn of
        the loop of its own, and others come in between. What is pushed is never long (`offer`)."""
        async with self._long:
            pass

    async def _read_for_all(
        self, place: tuple[SessionId, Seq, bool], reading: asyncio.Future[list[Recorded]]
    ) -> None:
        session, after, audio = place
        events: list[Recorded] = []
        try:
            events = await self._log.read(session, after, limit=PAGE, audio=audio)
        except LogUnavailable:
            pass  # the watch wakes the listeners, and they ask again
        except LogError as error:
            if session in self._feeds:
                self._feeds[session].failure = error
        finally:
            del self._reads[place]
            reading.set_result(events)

    async def _listen(self) -> None:
        async with aclosing(self._subscription.pushes()) as heard:
            async for word in heard:
                feed = self._feeds.get(word.session)
                if feed is None:
                    continue
                if isinstance(word, Subscribed):
                    self._suspects.add(word.session)
                    self._look.set()
                else:
                    self._spread(feed, word)

    def _spread(self, feed: _Feed, push: Push) -> None:
        feed.quiet, feed.away = False, False
        follows = bool(push.events) and push.first == feed.head + 1
        if follows and all(event.type == "input.audio" for event in push.events):
            feed.head = push.last
        else:
            feed.reach(push.last)
        if push.events:
            self._delivered(push.events[-1].ts_ms)
        for listener in feed.listeners:
            listener.offer(push)

    async def _watch(self) -> None:
        """Look at the heads of sessions that were just subscribed, and now and then of all quiet ones."""
        due = coalesced(self._watch_s)
        while True:
            with anyio.move_on_after(due - anyio.current_time()):
                await self._look.wait()
            self._look = anyio.Event()
            sessions, self._suspects = self._suspects, set()
            if anyio.current_time() >= due:  # also where somebody subscribes all the time
                due = coalesced(self._watch_s)
                sessions |= {session for session, feed in self._feeds.items() if feed.quiet}
                for feed in self._feeds.values():
                    feed.quiet = True
                await self._subscription.check()
            self._check_by_shard(sessions)

    def _check_by_shard(self, sessions: set[SessionId]) -> None:
        """A server that does not answer keeps nobody else's heads from being looked at."""
        shards: dict[str, list[SessionId]] = defaultdict(list)
        for session in sessions:
            shards[self._log.shard_of(session)].append(session)
        for shard, some in shards.items():
            if shard in self._checking:
                self._suspects.update(some)
            else:
                self._checking.add(shard)
                self._tasks.start_soon(self._check_shard, shard, some)

    async def _check_shard(self, shard: str, sessions: list[SessionId]) -> None:
        try:
            await self._check(sessions)
        finally:
            self._checking.discard(shard)
            if self._suspects:
                self._look.set()

    async def _check(self, sessions: list[SessionId]) -> None:
        try:
            heads = await self._log.heads(sessions)
        except (ArchiveUnavailable, ArchiveDamaged) as error:
            await self._check_apart(sessions, error)
            return
        except LogUnavailable as error:
            _logger.warning("cannot look at the heads of %d sessions: %s", len(sessions), error)
            self._mark_away(sessions)
            return
        except LogError as error:
            self._give_up(error)
            return
        for session, head in zip(sessions, heads, strict=True):
            feed = self._feeds.get(session)
            if feed is not None:
                self._compare(feed, head)

    def _mark_away(self, sessions: list[SessionId]) -> None:
        for feed in [self._feeds[session] for session in sessions if session in self._feeds]:
            if not feed.away:
                feed.away = True
                feed.wake()

    async def _check_apart(self, sessions: list[SessionId], error: LogError) -> None:
        """One of them is in an archive that cannot be read: the others are none the worse for it."""
        if len(sessions) > 1:
            for session in sessions:
                await self._check([session])
        elif isinstance(error, ArchiveDamaged) and (feed := self._feeds.get(sessions[0])) is not None:
            feed.failure = error
            feed.wake()
        else:
            _logger.warning("cannot look at the head of session %s: %s", sessions[0], error)

    def _give_up(self, error: LogError) -> None:
        for feed in self._feeds.values():
            feed.failure = error
            feed.wake()

    def _compare(self, feed: _Feed, head: Head | None) -> None:
        feed.away = False
        try:
            feed.reach(_present(head).seq)
        except (SessionNotFound, SessionGone) as error:
            feed.failure = error
        feed.wake()


def _present(head: Head | None) -> Head:
    if head is None:
        raise SessionNotFound("There is no such session.")
    if head.state == "deleted":
        raise SessionGone("The session was deleted.")
    return head
