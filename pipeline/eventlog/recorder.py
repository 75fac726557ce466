"""The way from the hot path into the log: buffered, in order, in groups, once."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

import anyio
from anyio.abc import TaskGroup

from pipeline.eventlog.event_log import ANY, Batch, EventLog, Outcome, Verdict
from pipeline.eventlog.producer_queue import Entry, Mode, ProducerQueue
from pipeline.eventlog.redis.codec import bytes_of
from pipeline.eventlog.redis.group_committer import GroupCommitter
from schemas.errors import LogUnavailable, RhapsodeError
from schemas.events import Event, SessionRenamed
from schemas.events.recorded import NewEvent
from schemas.ids import NO_TURN, Seq, SessionId, TurnId

HIGH_WATER: Final = 2 << 20
"""Bytes that one session may have waiting; its writer waits while there are more."""
LOW_WATER: Final = HIGH_WATER // 2
WRITERS: Final = 2_048
"""Writers remembered; beyond it the oldest are forgotten that have no epoch and nothing to say."""
CLOSE_S: Final = 5.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """An event about that turn, among events about others; `audio`: the bytes that belong to it."""

    turn: TurnId
    event: Event
    audio: bytes = b""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class SessionWriter:
    """Writer of one producer in one session. Events reach the log in the order in which they are recorded."""

    def __init__(
        self, queue: ProducerQueue, add: Callable[[ProducerQueue], None], clock_ms: Callable[[], int]
    ) -> None:
        self.queue = queue
        self.stopped = anyio.Event()
        """Set when the log has refused this writer; `failed` says why."""
        self._add = add
        self._clock_ms = clock_ms
        self._room = asyncio.Event()
        self._written: Callable[[], None] | None = None
        queue.on_progress = self._progressed

    @property
    def failed(self) -> RhapsodeError | None:
        return self.queue.failed

    async def record(
        self,
        *events: Event,
        turn: TurnId = NO_TURN,
        cause: Seq | None = None,
        audio: bytes = b"",
        lingers: bool = False,
    ) -> None:
        """Returns at once, unless the session's buffer is full. `audio` belongs to the last of the events.

        `lingers`: they may wait for `LINGER_S` to share an append with what follows. Raises what the log
        refused this writer with, which may be about events recorded before.
        """
        self._put(events, turn, cause, audio, lingers=lingers)
        while self.queue.weight > HIGH_WATER:
            self._room.clear()
            await self._room.wait()

    async def commit(
        self, *events: Event, turn: TurnId = NO_TURN, cause: Seq | None = None, audio: bytes = b""
    ) -> Outcome:
        """As `record`, but all of these events or none; returns their place once they are in the log."""
        return await _answer(self._put(events, turn, cause, audio))

    async def drain(self) -> None:
        """Return when everything recorded so far is in the log."""
        if self.failed is not None:
            raise self.failed
        last = self.queue.last_entry()
        if last is not None:
            if last.lingers:
                last.lingers = False
                self._add(self.queue)
            await _answer(last)

    def when_written(self, then: Callable[[], None] | None) -> None:
        """`then` is called once everything recorded so far is in the log, or at once if it is there.

        None takes back what was said before.
        """
        self._written = then
        self._progressed()

    def _put(
        self,
        events: tuple[Event, ...],
        turn: TurnId,
        cause: Seq | None,
        audio: bytes,
        *,
        lingers: bool = False,
    ) -> Entry:
        news = new_events(events, self._clock_ms(), turn, cause, audio)
        entry = self.queue.put(Entry(news, mode_of(events), lingers=lingers))
        self._add(self.queue)
        return entry

    def _progressed(self) -> None:
        if self.queue.weight <= LOW_WATER:
            self._room.set()
        if self.failed is not None:
            self.stopped.set()
        if self._written is not None and self.queue.empty:
            then, self._written = self._written, None
            then()


class Recorder:
    """Writes for all sessions of a process. Leaving the context drains, within a few seconds.

    While the log is away, what writers record waits (up to a bound) and is sent until it is in; a command
    fails with LogUnavailable once the log's patience is out.
    """

    def __init__(
        self,
        log: EventLog,
        clock_ms: Callable[[], int] = _wall_ms,
        retain_s: float = 5.0,
        appended: Callable[[float], None] = lambda _: None,
        charge: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        """`appended` is told how long each round trip of appends took. `charge` is asked before somebody's
        command is recorded: who it is, and of how many bytes; it refuses by raising. None: nobody is charged.
        """
        self._log = log
        self._committer = GroupCommitter(log, retain_s, appended)
        self._charge = charge
        self._clock_ms = clock_ms
        self._writers: dict[tuple[SessionId, str, int], SessionWriter] = {}
        self._closed = True
        self._tasks: TaskGroup

    @property
    def outbox(self) -> tuple[int, int]:
        """Writers with events that are not in the log yet, and roughly how many bytes those take."""
        return self._committer.waiting, self._committer.weight

    def producers(self, session: SessionId) -> list[str]:
        """Names of the producers with an open writer in the session."""
        return [producer for name, producer, _ in list(self._writers) if name == session]

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._committer.run)
        self._closed = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._committer.drained()
        if self._committer.waiting:
            _logger.error("closed with events of %d writers not in the log", self._committer.waiting)
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def open(self, session: SessionId, *, producer: str, epoch: int = 0) -> SessionWriter:
        """The pen of this producer at this epoch: the same one each time, until it has failed or is put away.

        Each has a name of its own in the log, where one that counted from one again would be called stale.
        """
        name = (session, producer, epoch)
        writer = self._writers.get(name)
        if writer is None or writer.failed is not None:
            alias = f"{producer}.{secrets.token_hex(4)}" if writer is None else writer.queue.producer
            number = 0 if writer is None else writer.queue.number
            queue = ProducerQueue(session, alias, epoch, number=number)
            self._writers.pop(name, None)
            self._forget()
            writer = self._writers[name] = SessionWriter(queue, self._add, self._clock_ms)
        writer.when_written(None)
        return writer

    def put_away(self, session: SessionId, *, producer: str, epoch: int = 0) -> None:
        """This producer has said all it had to say; what is on its way into the log goes on."""
        name = (session, producer, epoch)
        if (writer := self._writers.get(name)) is not None:
            writer.when_written(partial(self._writers.__delitem__, name))

    def _forget(self) -> None:
        """Not those of owners: under another name in the same epoch they would pass for somebody else."""
        if len(self._writers) >= WRITERS:
            idle = [name for name, writer in self._writers.items() if writer.queue.empty and not name[2]]
            for name in idle[: WRITERS // 2]:
                del self._writers[name]

    async def post(
        self,
        session: SessionId,
        *events: Event | RequestContext,
        key: str | None = None,
        mode: Literal["create", "append"] = "append",
        turn: TurnId = NO_TURN,
        by: str | None = None,
        expected: int = ANY,
    ) -> Outcome:
        """A command: events by somebody who does not own the session, in the log when this returns.

        `turn`: what they are about, unless they say so themselves. The same `key` again answers DUP with the
        first one's place and appends nothing. `by`: the principal who is charged with the bytes; None: nobody
        is, or somebody was already. `expected`: the session's last event as the caller has seen it. Raises
        what `charge` raises, and Conflict where the session ends elsewhere.
        """
        abouts = [each if isinstance(each, RequestContext) else RequestContext(turn, each) for each in events]
        if by is not None and self._charge is not None:
            size = bytes_of(*(each.event for each in abouts)) + sum(len(each.audio) for each in abouts)
            await self._charge(by, size)
        queue = ProducerQueue(session, _command_name(key), impatient=True, expected=expected)
        now = self._clock_ms()
        news = [NewEvent(each.event, now, each.turn, audio=each.audio) for each in abouts]
        entry = queue.put(Entry(news, mode if mode == "create" else mode_of([each.event for each in abouts])))
        self._add(queue)
        return await _answer(entry)

    async def posted(self, session: SessionId, key: str) -> Seq | None:
        """Place of the last event that a command with this key recorded; None: the log has no such command.

        Appends nothing: it sends a batch that expects the log's end where no session's end is.
        """
        never = new_events((SessionRenamed(title="?"),), self._clock_ms(), NO_TURN)
        [found] = await self._log.append([Batch(session, _command_name(key), 1, never, expected=0)])
        return found.last if found.verdict is Verdict.DUP else None

    async def erase(self, session: SessionId) -> None:
        """Delete it from the log, and keep nothing of it to give back.

        Raises as `EventLog.delete`. A deletion that is not certain yet goes on to be tried while this process
        lives.
        """
        await self._committer.erase(session)

    def _add(self, queue: ProducerQueue) -> None:
        if self._closed:
            raise LogUnavailable("This process is closing its log.")
        self._committer.add(queue)


def _command_name(key: str | None) -> str:
    """One producer per command: it says one thing, however often."""
    if key is None:
        return f"c:{secrets.token_hex(12)}"
    return f"c:{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}"


async def _answer(entry: Entry) -> Outcome:
    waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    entry.waiters.append(waiter)
    return await waiter


def new_events(
    events: tuple[Event, ...], ts_ms: int, turn: TurnId, cause: Seq | None = None, audio: bytes = b""
) -> list[NewEvent]:
    """The log itself sees to it that time never runs backwards within a session."""
    news = [NewEvent(event, ts_ms, turn, cause) for event in events]
    if audio:
        news[-1] = NewEvent(events[-1], ts_ms, turn, cause, audio)
    return news


def mode_of(events: Sequence[Event]) -> Mode:
    """Nothing follows the end of a session."""
    return "seal" if events[-1].type == "session.ended" else "append"
