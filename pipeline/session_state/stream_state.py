"""State of a durable stream, and of the name that it has: folds of their logs, and the rules of an append."""

from dataclasses import dataclass
from datetime import datetime

from schemas.errors.stream_errors import (
    ProducerFenced,
    ProducerGap,
    StreamConflict,
    StreamFinished,
    StreamInvalid,
)
from schemas.events import StreamCreated
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

TOUCHES = 10
"""A reader's coming is recorded at most so often in one time to live, which is longer by as much of it."""
PRODUCERS = 1_000
"""Of one stream: every gateway that serves it remembers the last batch of each."""


@dataclass(frozen=True, slots=True)
class ProducerBatch:
    """Place of an append among those of its idempotent producer."""

    producer: str
    epoch: int
    number: int


@dataclass(frozen=True, slots=True)
class NewAppend:
    """An append as its client asks for it."""

    body: bytes
    content_type: str
    """Empty: not said."""
    closes: bool = False
    batch: ProducerBatch | None = None
    writer_seq: str = ""


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """An append that is in the log; `number` is the highest one of its producer there."""

    tail: Seq
    closed: bool
    duplicate: bool = False
    number: int = 0


class StreamState:
    """A stream's session, folded."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.created: StreamCreated | None = None
        self.tail = Seq(0)
        """The last event with bytes, or `stream.created`: where the next append begins."""
        self.closed = False
        self.closed_by: ProducerBatch | None = None
        self.producers: dict[str, ProducerBatch] = {}
        self.writer_seq = ""
        self.used_ms = 0
        """Time of the last read, as far as reads are recorded, or write."""

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event."""
        data = recorded.data
        match recorded.type:
            case "stream.created":
                self.created = StreamCreated.model_validate(data)
                self.tail = recorded.seq
            case "stream.appended":
                self.tail = recorded.seq
                self.writer_seq = data.get("writer_seq") or self.writer_seq
                self._produced(data)
            case "stream.closed":
                self.closed, self.closed_by = True, self._produced(data)
        if recorded.type.startswith("stream."):
            self.used_ms = recorded.ts_ms
        self.head = recorded.seq

    def _produced(self, data: object) -> ProducerBatch | None:
        assert isinstance(data, dict)
        if not data.get("producer"):
            return None
        batch = ProducerBatch(data["producer"], data["epoch"], data["number"])
        self.producers[batch.producer] = batch
        return batch

    def ends_ms(self) -> int | None:
        """When the stream expires unless it is used before; None: never."""
        assert self.created is not None
        if self.created.ttl_s is not None:
            return self.used_ms + self.created.ttl_s * 1_000 * (TOUCHES + 1) // TOUCHES
        return None if self.created.expires_at is None else instant_ms(self.created.expires_at)

    def untouched(self, now_ms: int) -> bool:
        """Whether a read at this time must be recorded for the stream to live as long as it should."""
        ttl_s = None if self.created is None else self.created.ttl_s
        return ttl_s is not None and (now_ms - self.used_ms) * TOUCHES > ttl_s * 1_000

    def decide(self, new: NewAppend) -> StreamAppend | None:
        """None: it is to be appended; otherwise it is in the log already.

        Raises StreamFinished, ProducerFenced, ProducerGap, StreamConflict or StreamInvalid.
        """
        last = None if new.batch is None else self.producers.get(new.batch.producer)
        if new.batch is not None and last is None and len(self.producers) >= PRODUCERS:
            raise StreamInvalid(f"a stream has at most {PRODUCERS} producers", field="Producer-Id")
        if last is not None and new.batch is not None and new.batch.epoch < last.epoch:
            raise ProducerFenced(f"epoch {last.epoch} of this producer has written", epoch=last.epoch)
        if self.closed:
            return self._finished(new, last)
        assert self.created is not None
        if new.body and media_type(new.content_type) != media_type(self.created.content_type):
            raise StreamConflict(f"the stream is {self.created.content_type}")
        if new.batch is not None and (found := self._sent(new.batch, last)) is not None:
            return found
        if new.writer_seq and self.writer_seq and new.writer_seq <= self.writer_seq:
            raise StreamConflict("Stream-Seq is not above that of the last append", field="Stream-Seq")
        return None

    def _finished(self, new: NewAppend, last: ProducerBatch | None) -> StreamAppend:
        known = last is not None and new.batch is not None and new.batch.epoch == last.epoch
        if known and last is not None and new.batch is not None and new.batch.number <= last.number:
            return StreamAppend(self.tail, closed=True, duplicate=True, number=last.number)
        if new.batch is None and new.closes and not new.body:
            return StreamAppend(self.tail, closed=True, duplicate=True)
        raise StreamFinished("the stream is closed", tail=self.tail)

    def _sent(self, batch: ProducerBatch, last: ProducerBatch | None) -> StreamAppend | None:
        if last is not None and batch.epoch == last.epoch and batch.number <= last.number:
            return StreamAppend(self.tail, closed=False, duplicate=True, number=last.number)
        if last is not None and batch.epoch > last.epoch and batch.number:
            raise StreamInvalid("the numbers of a new epoch begin with 0", field="Producer-Seq")
        expected = last.number + 1 if last is not None and batch.epoch == last.epoch else 0
        if batch.number != expected:
            raise ProducerGap(
                f"the producer's batch {expected} is missing", expected=expected, received=batch.number
            )
        return None


class StreamName:
    """The log of a stream's name, folded."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.session: SessionId | None = None
        """The stream that has the name, or had it last; None: none ever had."""
        self.forks: list[tuple[SessionId, SessionId]] = []
        """Of that stream: the log of each fork's name, and its session."""

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event."""
        match recorded.type:
            case "stream.named":
                self.session, self.forks = SessionId(recorded.data["session"]), []
            case "stream.forked":
                self.forks.append((SessionId(recorded.data["name"]), SessionId(recorded.data["session"])))
        self.head = recorded.seq


def media_type(content_type: str) -> str:
    """A content type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def instant_ms(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 timestamp. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a timestamp without its time zone")
    return int(at.timestamp() * 1_000)
