"""Events of durable streams: bytes that clients append and read (docs/durable-streams.md)."""

from typing import Literal

from schemas.events.event_model import EventModel as _Event


class StreamCreated(_Event):
    """The session keeps a stream; it stands behind `session.started`."""

    type: Literal["stream.created"] = "stream.created"
    v: Literal[1] = 1
    content_type: str
    """In lower case, with its parameters."""
    ttl_s: int | None = None
    """Seconds without a read or a write after which the stream expires."""
    expires_at: str | None = None
    """RFC 3339, as the client wrote it."""
    forked_from: str = ""
    """Name of the stream whose beginning this one has; empty: it is no fork."""
    fork_offset: int | None = None
    """Sequence number up to which events were taken over; None: the source's end was not named."""
    fork_sub_offset: int = 0
    """Bytes, or JSON messages, that were taken over of the append behind it."""


class StreamAppended(_Event):
    """Bytes at the end of the stream; they lie where sound lies, beside the event."""

    type: Literal["stream.appended"] = "stream.appended"
    v: Literal[1] = 1
    bytes: int
    more: bool = False
    """The next event continues the same append."""
    producer: str = ""
    """Idempotent producer; empty: none."""
    epoch: int = 0
    number: int = 0
    """The producer's sequence number within its epoch, from 0."""
    writer_seq: str = ""
    """The client's `Stream-Seq`; empty: none."""


class StreamClosed(_Event):
    """Nothing is appended any more."""

    type: Literal["stream.closed"] = "stream.closed"
    v: Literal[1] = 1
    producer: str = ""
    epoch: int = 0
    number: int = 0


class StreamRead(_Event):
    """A reader has come: the time to live begins anew."""

    type: Literal["stream.read"] = "stream.read"
    v: Literal[1] = 1


class StreamNamed(_Event):
    """The name that this log is about stands for that stream, until that stream is gone."""

    type: Literal["stream.named"] = "stream.named"
    v: Literal[1] = 1
    session: str
    """Session of the stream."""


class StreamForked(_Event):
    """The stream of this name has a fork, and its name is not free before the fork is gone."""

    type: Literal["stream.forked"] = "stream.forked"
    v: Literal[1] = 1
    name: str
    """Log of the fork's name."""
    session: str
    """Session of the fork."""
