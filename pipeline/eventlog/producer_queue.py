"""Queue of one producer's events for one session: their order, batches and answers. No I/O."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

from pipeline.eventlog.event_log import ANY, Batch, Outcome, Verdict
from schemas.errors import (
    ArchiveDamaged,
    ArchiveUnavailable,
    Conflict,
    Fenced,
    InputTooLong,
    LogError,
    LogLost,
    LogUnavailable,
    RhapsodeError,
    SessionAlreadyEnded,
    SessionFull,
    SessionGone,
    SessionNotFound,
)
from schemas.events import TextDelta
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, created_ms, generation

Mode = Literal["create", "append", "seal"]
BATCH_EVENTS: Final = 128
BATCH_BYTES: Final = 256 << 10
_EVENT_WEIGHT: Final = 256
_JOINED_CHARS: Final = 500
"""Characters of a text delta that was joined from several, at most."""

_REFUSALS: Final[dict[Verdict, tuple[type[RhapsodeError], str]]] = {
    Verdict.FENCED: (Fenced, "Another owner has taken the session over."),
    Verdict.SEALED: (SessionAlreadyEnded, "The session has ended."),
    Verdict.NO_SESSION: (SessionNotFound, "There is no such session."),
    Verdict.GONE: (SessionGone, "The session was deleted."),
    Verdict.CONFLICT: (Conflict, "Somebody else was faster."),
    Verdict.QUOTA: (SessionFull, "The session is full."),
    Verdict.UNREPLICATED: (LogUnavailable, "Too few replicas of the log answer."),
    Verdict.ARCHIVE_AWAY: (ArchiveUnavailable, "The archive, which may have the session, does not answer."),
    Verdict.ARCHIVE_DAMAGED: (ArchiveDamaged, "The archived events of the session are damaged."),
    Verdict.TOO_LARGE: (InputTooLong, "The text is too long to be kept."),
    Verdict.PRODUCER_GAP: (LogLost, "The log lost events that it had acknowledged."),
}


def refusal(verdict: Verdict) -> RhapsodeError:
    kind, message = _REFUSALS.get(verdict, (LogError, f"The log answered {verdict}."))
    return kind(message)


def weight(events: Sequence[NewEvent]) -> int:
    """Roughly the bytes that these events hold in memory."""
    return sum(_EVENT_WEIGHT + len(new.audio) for new in events)


@dataclass(eq=False)
class Entry:
    """Events that were handed over together: they share a batch, whole."""

    events: Sequence[NewEvent]
    mode: Mode
    waiters: list[asyncio.Future[Outcome]] = field(default_factory=list)
    lingers: bool = False
    """It may wait for more, so that several share an append."""
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        self.weight = weight(self.events)

    def join(self, following: Self) -> bool:
        """Take the text of a delta that goes on where this one ends. False: the two stay two entries."""
        if len(self.events) != 1 or len(following.events) != 1:
            return False
        before, after = self.events[0], following.events[0]
        first, second = before.event, after.event
        if not isinstance(first, TextDelta) or not isinstance(second, TextDelta):
            return False
        follows = (before.turn, first.at + len(first.text)) == (after.turn, second.at)
        if not follows or len(first.text) + len(second.text) > _JOINED_CHARS:
            return False
        self.events = [replace(before, event=TextDelta(at=first.at, text=first.text + second.text))]
        self.lingers = self.lingers and following.lingers
        self.waiters += following.waiters
        return True

    def answer(self, outcome: Outcome) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(outcome)

    def refuse(self, error: RhapsodeError) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class ProducerQueue:
    """Turns entries into numbered batches, one in flight at a time; refused once, it takes nothing more."""

    def __init__(
        self,
        session: SessionId,
        producer: str,
        epoch: int = 0,
        *,
        number: int = 0,
        impatient: bool = False,
        expected: int = ANY,
    ) -> None:
        """`number`: of the producer's last batch that the log took; `expected`: see Batch, for each batch."""
        self._expected = expected
        self.impatient = impatient
        """True while a caller waits for the answer: the queue fails rather than retry for ever."""
        self.session = session
        self.producer = producer
        self.epoch = epoch
        self.failed: RhapsodeError | None = None
        self.weight = 0
        """Of everything not yet in the log."""
        self.number = number
        self.on_progress: Callable[[], None] = _nobody
        """Called after each answer of the log."""
        self._waiting: deque[Entry] = deque()
        self._sent: list[Entry] = []
        self._batch: Batch | None = None
        self.place: Seq | None = None
        """Place of the batch in flight in the log, where it has too few replicas to count as appended."""
        self.doubted = False
        """The batch in flight was refused for a gap that was filled before anybody looked."""

    @property
    def empty(self) -> bool:
        return not self._waiting and self._batch is None

    @property
    def lingers(self) -> bool:
        """Everything that is to be sent next may wait for more, and a batch has room for more."""
        return (
            self._batch is None
            and len(self._waiting) < BATCH_EVENTS
            and self.weight < BATCH_BYTES
            and all(entry.lingers for entry in self._waiting)
        )

    def put(self, entry: Entry) -> Entry:
        """The entry that its events wait in: a text delta joins the one that waits before it."""
        if self.failed is not None:
            raise self.failed
        if self._waiting and self._waiting[-1].join(entry):
            return self._waiting[-1]
        self._waiting.append(entry)
        self.weight += entry.weight
        return entry

    def last_entry(self) -> Entry | None:
        """The one whose answer means that everything before it is in the log."""
        return self._waiting[-1] if self._waiting else self._sent[-1] if self._sent else None

    def batch(self) -> Batch | None:
        """The batch to send now: the unanswered one, else the next; None: nothing to say.

        One that was seen in the log goes to the place where others may have read it, or nowhere.
        """
        if self._batch is None and self._waiting:
            mode = self._gather()
            self._batch = Batch(
                session=self.session,
                producer=self.producer,
                number=self.number + 1,
                events=[new for entry in self._sent for new in entry.events],
                epoch=self.epoch,
                expected=self._expected,
                mode=mode,
                generation=generation(created_ms(self.session)) if mode == "create" else "",
            )
        if self._batch is not None and self.place is not None:
            return replace(self._batch, expected=self.place - 1)
        return self._batch

    def _gather(self) -> Mode:
        """Move as many entries as one batch may hold; the batch's mode."""
        first = self._waiting.popleft()
        self._sent, mode = [first], first.mode
        count, size = len(first.events), first.weight
        while self._waiting and _may_follow(mode, self._waiting[0].mode):
            following = self._waiting[0]
            count += len(following.events)
            size += following.weight
            if count > BATCH_EVENTS or size > BATCH_BYTES:
                break
            if following.mode == "seal":
                mode = "seal"
            self._sent.append(self._waiting.popleft())
        return mode

    def settle(self, outcome: Outcome) -> None:
        """The batch in flight is in the log at this place."""
        first = outcome.first
        for entry in self._sent:
            last = Seq(first + len(entry.events) - 1)
            entry.answer(Outcome(outcome.verdict, first, last))
            self.weight -= entry.weight
            first = Seq(last + 1)
        self.number += 1
        self._sent, self._batch, self.place, self.doubted = [], None, None, False
        self.on_progress()

    def fail(self, error: RhapsodeError) -> None:
        """Nothing of what waits will ever be in the log."""
        self.failed = error
        for entry in (*self._sent, *self._waiting):
            entry.refuse(error)
        self._sent, self._batch, self.weight = [], None, 0
        self._waiting.clear()
        self.on_progress()


def _may_follow(mode: Mode, following: Mode) -> bool:
    """A creation begins its batch, an ending ends it, and no batch is both."""
    return (following == "append" and mode != "seal") or (mode, following) == ("append", "seal")


def _nobody() -> None:
    """No writer waits for this queue's progress."""
