"""How events look inside Redis: keys, function arguments, stream entries and pushes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import msgpack

from pipeline.eventlog.event_log import Batch, Push
from schemas.errors import InputTooLong
from schemas.events import TERMINAL, TRIGGERS, Event, payload
from schemas.events.recorded import NewEvent, Recorded
from schemas.events.upcasting import upcast
from schemas.ids import Seq, SessionId, TurnId

Argument = str | bytes | int
Row = tuple[str, str, str, str, str, bytes, bytes, str]
"""Type, version, ts, turn, cause, data, audio, trigger: one event as the append function takes it."""

DATA_MAX: Final = 2 << 20
"""A text of limits.text_chars fits, whatever its script: UTF-8 takes four bytes a character at most."""
AUDIO_MAX: Final = 256 << 10
PUSH_MAX: Final = 64 << 10
"""A larger batch is announced by its range alone."""
PUSH_AUDIO_MAX: Final = 16 << 10
ENVELOPE_BYTES: Final = 48
"""Bytes of an event beside its data and audio, roughly; counted against the session's quota."""
LAST_WORDS: Final = TERMINAL | {
    "session.ended",
    "session.end_requested",
    "owner.changed",
    "turn.stop_requested",
}
"""Events that say that and why a session stops: a full session still takes them."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names. The tag `{pN}` keeps whatever one append touches on one node of a cluster."""

    partitions: int

    def _tag(self, session: SessionId) -> str:
        return f"ev:{{p{self.partition(session)}}}"

    def of(self, session: SessionId) -> tuple[str, str, str, str, str, str]:
        """Events, meta, triggers, audio, live, work: the KEYS of the server functions."""
        tag = self._tag(session)
        return (
            f"{tag}:s:{session}",
            f"{tag}:m:{session}",
            f"{tag}:t",
            f"{tag}:a:{session}",
            f"{tag}:live",
            f"{tag}:work",
        )

    def partition(self, session: SessionId) -> int:
        return crc32(session.encode()) % self.partitions

    def triggers(self, partition: int) -> str:
        """Pointers to the events that workers care for, oldest first."""
        return f"ev:{{p{partition}}}:t"

    def live(self, partition: int) -> str:
        """Sessions that have not ended, by the time of their latest event (to a second)."""
        return f"ev:{{p{partition}}}:live"

    def work(self, partition: int) -> str:
        """Sessions that need an owner, by the time since when."""
        return f"ev:{{p{partition}}}:work"

    def beside(self, partition: int, name: str) -> str:
        """Any other key of a partition: what workers keep there."""
        return f"ev:{{p{partition}}}:{name}"

    def events(self, session: SessionId) -> str:
        return f"{self._tag(session)}:s:{session}"

    def audio(self, session: SessionId) -> str:
        return f"{self._tag(session)}:a:{session}"

    def meta(self, session: SessionId) -> str:
        """Also the name of the channel on which the session's appends are pushed."""
        return f"{self._tag(session)}:m:{session}"

    def lease(self, session: SessionId) -> str:
        return f"{self._tag(session)}:own:{session}"


def encode(new: NewEvent) -> Row:
    """One event as the append function takes it. Raises InputTooLong, also for what cannot be written."""
    try:
        data: bytes = msgpack.packb(payload(new.event))
    except (OverflowError, ValueError, TypeError) as error:
        raise InputTooLong(f"A {new.event.type} event cannot be written: {error}.") from error
    if len(data) > DATA_MAX or len(new.audio) > AUDIO_MAX:
        raise InputTooLong(f"A {new.event.type} event is too large for the log.")
    kind = new.event.type
    cause = "" if new.cause is None else str(new.cause)
    trigger = "1" if kind in TRIGGERS and not new.quiet else ""
    return kind, str(new.event.v), str(new.ts_ms), str(new.turn), cause, data, new.audio, trigger


def size_of(rows: Sequence[Row]) -> int:
    return sum(ENVELOPE_BYTES + len(row[5]) + len(row[6]) for row in rows)


def bytes_of(*events: Event) -> int:
    """Bytes that these take in the log. Raises InputTooLong as `encode`."""
    return size_of([encode(NewEvent(event, 0)) for event in events])


def quota_for(batch: Batch, max_bytes: int) -> int:
    """The limit that holds for this batch; 0: none."""
    return 0 if all(new.event.type in LAST_WORDS for new in batch.events) else max_bytes


def append_arguments(batch: Batch, max_bytes: int) -> list[Argument]:
    """The ARGV of ev2_append."""
    rows = [encode(new) for new in batch.events]
    size = size_of(rows)
    pushed = size <= PUSH_MAX and all(len(new.audio) <= PUSH_AUDIO_MAX for new in batch.events)
    packed: bytes = msgpack.packb(rows, use_bin_type=False)  # Redis's msgpack knows one kind of string
    return [
        batch.session,
        batch.producer,
        batch.number,
        batch.epoch,
        batch.expected,
        batch.mode,
        batch.generation,
        size,
        quota_for(batch, max_bytes),
        "1" if pushed else "",
        packed,
    ]


def decode_push(session: SessionId, message: bytes) -> Push:
    """Decodes the message that ev2_append announced."""
    span, _, packed = message.partition(b"\n")
    first, last, ts = (int(number) for number in span.split(b":"))
    events = []
    for seq, row in enumerate(msgpack.unpackb(packed, raw=True) if packed else (), first):
        kind, v, stamp, turn, cause, data, audio, _ = row
        shape = upcast(kind.decode(), int(v), _unpack(data))
        ts = max(ts, int(stamp))  # as the function stored it
        events.append(
            Recorded(
                seq=Seq(seq),
                ts_ms=ts,
                turn=TurnId(int(turn)),
                type=shape[0],
                v=shape[1],
                data=shape[2],
                cause=Seq(int(cause)) if cause else None,
                audio=audio or None,
                size=len(data),
            )
        )
    return Push(session, Seq(first), Seq(last), tuple(events))


def decode_entry(entry: Sequence[Any], audio: bytes | None = None) -> Recorded:
    """One entry of the events stream, with the bytes found beside it."""
    fields: list[bytes] = entry[1]
    by_name = dict(zip(fields[::2], fields[1::2], strict=True))
    cause = by_name.get(b"c")
    kind, v, data = upcast(by_name[b"t"].decode(), int(by_name[b"v"]), _unpack(by_name[b"d"]))
    return Recorded(
        seq=entry_seq(entry),
        ts_ms=int(by_name[b"ts"]),
        turn=TurnId(int(by_name[b"n"])),
        type=kind,
        v=v,
        data=data,
        cause=Seq(int(cause)) if cause else None,
        audio=audio,
        size=len(by_name[b"d"]),
    )


def entry_seq(entry: Sequence[Any]) -> Seq:
    stream_id: bytes = entry[0]
    return Seq(int(stream_id[:-2]))


def _unpack(data: bytes) -> dict[str, Any]:
    unpacked: dict[str, Any] = msgpack.unpackb(data)
    return unpacked
