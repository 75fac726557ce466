"""The archive's files: a run of events exactly as the log holds them, and the audio beside them. No I/O.

    magic, body, footer (msgpack), length and CRC-32 of the footer (4 bytes each), magic

The body of an events file is zstd frames of up to 1,000 events or a megabyte each; that of an audio file the
chunks' bytes one after another. The same events give the same bytes, so writing a file again is harmless.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Literal, Self
from zlib import crc32

import msgpack
import zstandard

from schemas.errors import ArchiveDamaged
from schemas.ids import Seq

FRAME_EVENTS: Final = 1_000
FRAME_BYTES: Final = 1_000_000
"""Bytes of events' fields after which a frame is closed: a reader keeps several frames decoded."""
SOUND_BYTES: Final = 2 << 20
"""A page of events with their sound ends with the one that reaches so many bytes of it."""
TAIL_BYTES: Final = 64 << 10
"""Nearly every footer is within the last so many bytes of its file."""
_MAGIC: Final = b"RHSEG\x00\x01\n"
_TRAILER: Final = 8 + len(_MAGIC)
_LEVEL: Final = 3
_NAME: Final = re.compile(r"(\d{10})-(\d{10})\.events\.zst")

Kind = Literal["events", "audio"]


FIRST_LINK: Final = bytes(32)
"""The chain before any event."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One entry of a session's streams, byte for byte."""

    seq: Seq
    fields: tuple[bytes, ...]
    """Name, value, name, value, ... in the order of the stream."""
    audio: bytes = b""

    @property
    def type(self) -> str:
        names, values = self.fields[::2], self.fields[1::2]
        return values[names.index(b"t")].decode()

    def packed(self) -> bytes:
        packed: bytes = msgpack.packb((self.seq, *self.fields))
        return packed


def link(chain: bytes, event: StoredEvent) -> bytes:
    """The chain with one more event: it names everything up to here, however it is cut into segments."""
    return sha256(chain + sha256(event.packed()).digest() + sha256(event.audio).digest()).digest()


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Which events a segment holds, and what its files are called."""

    first: Seq
    last: Seq

    @classmethod
    def parse(cls, file: str) -> Self | None:
        """The segment whose events file has this name; None: it is no events file."""
        found = _NAME.fullmatch(file)
        return cls(Seq(int(found[1])), Seq(int(found[2]))) if found else None

    def file(self, kind: Kind) -> str:
        return f"{self.first:010}-{self.last:010}.{'events.zst' if kind == 'events' else 'audio'}"


@dataclass(frozen=True, slots=True)
class Footer:
    """Header of a segment file."""

    kind: Kind
    n: int
    first: Seq
    last: Seq
    sha256: str
    """Of the body."""
    index: tuple[tuple[int, int, int], ...]
    """events: first seq, offset and length of each frame. audio: seq, length and CRC-32 of each chunk."""
    chain: bytes = b""
    """events: after the last event."""
    sealed: bool = False
    """events: nothing follows the last event, ever."""
    audio: str = ""
    """events: SHA-256 of the audio file's body as it was written; empty: there is no such file."""

    def packed(self) -> bytes:
        whole = {name: getattr(self, name) for name in self.__dataclass_fields__}
        packed: bytes = msgpack.packb(whole)
        return packed


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished segment: the bytes of its files."""

    footer: Footer
    events: bytes
    audio: bytes
    """Empty: the segment has no sound, and no audio file."""

    @property
    def name(self) -> SegmentName:
        return SegmentName(self.footer.first, self.footer.last)


class SegmentBuilder:
    """Takes events in order, without gaps; compresses a frame as soon as it is full."""

    def __init__(self, chain: bytes) -> None:
        """`chain`: as it is before the first event."""
        self._chain = chain
        self._held: list[StoredEvent] = []
        self._held_bytes = 0
        self._body = bytearray()
        self._frames: list[tuple[int, int, int]] = []
        self._sound = bytearray()
        self._chunks: list[tuple[int, int, int]] = []
        self._first = self._last = Seq(0)
        self._latest = ""
        self.n = 0

    @property
    def last(self) -> Seq:
        return self._last

    @property
    def size(self) -> int:
        """Bytes of audio, which is nearly all of it."""
        return len(self._sound)

    def extend(self, log_events: Iterable[StoredEvent]) -> None:
        for event in log_events:
            self._add(event)

    def _add(self, event: StoredEvent) -> None:
        self._first = self._first or event.seq
        if self.n and event.seq != self._last + 1:
            raise ArchiveDamaged(f"event {event.seq} follows event {self._last}")
        self._chain = link(self._chain, event)
        self._last, self._latest = event.seq, event.type
        self.n += 1
        if event.audio:
            self._chunks.append((event.seq, len(event.audio), crc32(event.audio)))
            self._sound += event.audio
        self._held.append(event)
        self._held_bytes += sum(map(len, event.fields))
        if len(self._held) == FRAME_EVENTS or self._held_bytes >= FRAME_BYTES:
            self._close_frame()

    def _close_frame(self) -> None:
        packed = b"".join(event.packed() for event in self._held)
        squeezed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(packed)
        self._frames.append((self._held[0].seq, len(_MAGIC) + len(self._body), len(squeezed)))
        self._body += squeezed
        self._held.clear()
        self._held_bytes = 0

    def finish(self) -> Segment:
        """The segment of all events so far; there must be one at least."""
        if self._held:
            self._close_frame()
        sound = b""
        place: tuple[int, Seq, Seq] = (self.n, self._first, self._last)
        if self._sound:
            audio_footer = Footer("audio", *place, sha256(self._sound).hexdigest(), tuple(self._chunks))
            sound = _file(self._sound, audio_footer)
        footer = Footer(
            "events",
            *place,
            sha256(self._body).hexdigest(),
            tuple(self._frames),
            chain=self._chain,
            sealed=self._latest == "session.ended",
            audio=sha256(self._sound).hexdigest() if sound else "",
        )
        return Segment(footer, _file(self._body, footer), sound)


def _file(body: bytes | bytearray, footer: Footer) -> bytes:
    packed = footer.packed()
    trailer = len(packed).to_bytes(4, "little") + crc32(packed).to_bytes(4, "little")
    return b"".join((_MAGIC, body, packed, trailer, _MAGIC))


def footer_size(tail: bytes) -> int:
    """How many bytes at the end of a file its footer takes. Raises ArchiveDamaged."""
    if len(tail) < _TRAILER or not tail.endswith(_MAGIC):
        raise ArchiveDamaged("a file of the archive is cut short")
    return int.from_bytes(tail[-_TRAILER : 4 - _TRAILER], "little") + _TRAILER


def parse_footer(tail: bytes) -> Footer:
    """The footer of the file that ends with `tail`. Raises ArchiveDamaged."""
    packed = tail[-footer_size(tail) : -_TRAILER]
    if crc32(packed).to_bytes(4, "little") != tail[4 - _TRAILER : -len(_MAGIC)]:
        raise ArchiveDamaged("the footer of a file of the archive is not what it was")
    try:
        fields: dict[str, Any] = msgpack.unpackb(packed)
        fields["index"] = tuple((a, b, c) for a, b, c in fields["index"])
        return Footer(**fields)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise ArchiveDamaged("a file of the archive has no readable footer") from error


def verify(file: bytes) -> Footer:
    """The footer of a whole file whose body is what the footer says. Raises ArchiveDamaged."""
    footer = parse_footer(file)
    body = file[len(_MAGIC) : -footer_size(file)]
    if not file.startswith(_MAGIC) or sha256(body).hexdigest() != footer.sha256:
        raise ArchiveDamaged("a file of the archive is not what it was")
    return footer


def muted(file: bytes, silent: Collection[Seq]) -> bytes | None:
    """An audio file without the audio of these events; None: it had none of it. Raises ArchiveDamaged."""
    footer = verify(file)
    kept: list[tuple[int, int, int]] = []
    body = bytearray()
    at = len(_MAGIC)
    for seq, length, crc in footer.index:
        if seq not in silent:
            kept.append((seq, length, crc))
            body += file[at : at + length]
        at += length
    if len(kept) == len(footer.index):
        return None
    return _file(body, replace(footer, sha256=sha256(body).hexdigest(), index=tuple(kept)))


def unpack_frame(frame: bytes) -> list[StoredEvent]:
    """The events of one frame, without their audio. Raises ArchiveDamaged."""
    try:
        packed = zstandard.ZstdDecompressor().decompress(frame)
        unpacker = msgpack.Unpacker(raw=True, max_buffer_size=0)
        unpacker.feed(packed)
        return [StoredEvent(Seq(seq), tuple(fields)) for seq, *fields in unpacker]
    except (zstandard.ZstdError, ValueError, TypeError, msgpack.UnpackException) as error:
        raise ArchiveDamaged("a frame of the archive cannot be read") from error


def chunk_span(footer: Footer, seqs: Sequence[Seq]) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Position of the audio of these events (in order) in its file: start, end, the index between.

    It ends with the chunk that reaches `SOUND_BYTES`.
    """
    offset, start, end = len(_MAGIC), 0, 0
    inside: list[tuple[int, int, int]] = []
    for seq, length, crc in footer.index:
        if seqs[0] <= seq <= seqs[-1]:
            start = start or offset
            end = offset + length
            inside.append((seq, length, crc))
            if end - start >= SOUND_BYTES:
                break
        offset += length
    return start, end, inside


def cut_chunks(data: bytes, inside: Sequence[tuple[int, int, int]]) -> dict[Seq, bytes]:
    """The chunks that a span of an audio file holds. Raises ArchiveDamaged."""
    found: dict[Seq, bytes] = {}
    at = 0
    for seq, length, crc in inside:
        chunk = data[at : at + length]
        at += length
        if crc32(chunk) != crc:
            raise ArchiveDamaged(f"the audio of event {seq} is not what it was")
        found[Seq(seq)] = chunk
    return found
