"""Sound of the log as one file that any player plays, whole or while it is being made."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, assert_never

import av
import numpy as np

from pipeline.audio.audio_formats import AudioFormat, Mp3Encoder, StreamFormat, wav_header
from pipeline.audio.chapter_tags import Chapter, id3_tag, ogg_comments
from pipeline.audio.opus import PACKET_MS, RATE, OpusDecoder, unframe
from schemas.events.recorded import Recorded

_PACKETS_PER_PAGE: Final = 40
"""At most 1,275 bytes each, so at most 240 of a page's 255 segments."""
_GRANULES: Final = 48 * PACKET_MS
_SERIAL: Final = 0x52485053
_BEGIN, _END = 2, 4
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggPages:
    """A file in the making: each push is a page, or several.

    The pre-skip is zero: the codec's delay is part of our audio, so times in the file are those of the log.
    """

    def __init__(self, chapters: Sequence[Chapter] = ()) -> None:
        self._chapters = chapters
        self._number = 0
        self._heard = 0

    def push(self, packets: list[bytes]) -> bytes:
        """The next pages; the first time the header with them."""
        begin = self._begin()
        starts = range(0, len(packets), _PACKETS_PER_PAGE)
        return begin + b"".join(self._next(packets[at : at + _PACKETS_PER_PAGE], 0) for at in starts)

    def finish(self) -> bytes:
        """The last page, which is empty."""
        return self._begin() + self._next([], _END)

    def _begin(self) -> bytes:
        if self._number:
            return b""
        self._number = 2
        first = _page([_head()], number=0, granule=0, flags=_BEGIN)
        return first + _page([_tags(ogg_comments(self._chapters))], number=1, granule=0, flags=0)

    def _next(self, packets: list[bytes], flags: int) -> bytes:
        self._heard += len(packets)
        self._number += 1
        return _page(packets, number=self._number - 1, granule=self._heard * _GRANULES, flags=flags)


def _head() -> bytes:
    return b"OpusHead\x01\x01" + bytes(2) + RATE.to_bytes(4, "little") + bytes(3)


def _tags(comments: list[bytes]) -> bytes:
    counted = [len(text).to_bytes(4, "little") + text for text in (b"rhapsode", *comments)]
    return b"OpusTags" + counted[0] + len(comments).to_bytes(4, "little") + b"".join(counted[1:])


def _page(packets: list[bytes], *, number: int, granule: int, flags: int) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    start = b"OggS\x00" + bytes([flags]) + granule.to_bytes(8, "little") + _SERIAL.to_bytes(4, "little")
    start += number.to_bytes(4, "little")
    rest = bytes([len(lacing)]) + lacing + b"".join(packets)
    return start + _checksum(start + bytes(4) + rest).to_bytes(4, "little") + rest


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits the other way round, and nothing inverted."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)


_BITRATE: Final = 64_000
_SILENCE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One `audio.chunk` event with its bytes."""

    packets: bytes
    chunk: int
    """Zero begins a sentence."""
    ms: int

    @classmethod
    def of(cls, recorded: Recorded) -> Self:
        return cls(recorded.audio or b"", recorded.data["chunk"], recorded.data["ms"])


HEAD: Final = StoredChunk(b"", 1, 0)
"""No sound: a file that is given this first has its head, whatever follows."""


class FileStream(Protocol):
    """Takes chunks in order and gives the bytes of one file: the same chunks always give the same bytes.

    Synchronous and not cheap: callers with a loop use a thread.
    """

    def pieces(self, chunk: StoredChunk) -> Iterator[bytes]:
        """The bytes that are ready now, in pieces of a megabyte at most."""
        ...

    def push(self, chunk: StoredChunk) -> bytes:
        """The same at once."""
        return b"".join(self.pieces(chunk))

    def finish(self) -> bytes:
        """Returns the rest when nothing follows."""
        ...


def file_stream(
    fmt: AudioFormat | StreamFormat, *, total_ms: int | None = None, chapters: Sequence[Chapter] = ()
) -> FileStream:
    """A new file. `total_ms`: of all its chunks; None: its header leaves that open. `chapters` are of Ogg and
    MP3 files."""
    match fmt:
        case "opus":
            return _Ogg(chapters)
        case "pcm" | "pcm16":
            return _Decoded(b"", None)
        case "wav":
            return _Decoded(wav_header(None if total_ms is None else pcm_bytes(total_ms)), None)
        case "mp3":
            # One encoder for all sentences: none of them brings the 50 to 90 ms of padding of its own.
            return _Decoded(id3_tag(chapters), Mp3Encoder())
        case "aac":
            return _Decoded(b"", _Packed("adts", "aac"))
        case "flac":
            return _Decoded(b"", _Packed("flac", "flac"))
        case _:
            assert_never(fmt)


def file_pieces(
    fmt: AudioFormat,
    chunks: Iterable[StoredChunk],
    *,
    total_ms: int | None,
    chapters: Sequence[Chapter] = (),
) -> Iterator[bytes]:
    """The file in pieces, chunk by chunk, for audio of any length.

    `total_ms` is the sum of the chunks' lengths where nothing will follow, None where more may come: then
    nothing is flushed, so that (but for the WAV header) the pieces are the beginning of the later file.
    """
    file = file_stream(fmt, total_ms=total_ms, chapters=chapters)
    yield from file.pieces(HEAD)
    for chunk in chunks:
        yield from file.pieces(chunk)
    if total_ms is not None:
        yield file.finish()


def whole_file(
    fmt: AudioFormat, chunks: Iterable[StoredChunk], *, complete: bool, chapters: Sequence[Chapter] = ()
) -> bytes:
    """The file at once."""
    kept = list(chunks)
    total_ms = sum(chunk.ms for chunk in kept) if complete else None
    return b"".join(file_pieces(fmt, kept, total_ms=total_ms, chapters=chapters))


def pcm_bytes(ms: int) -> int:
    """Bytes of `ms` of audio as PCM16 at 24 kHz; exact, as all lengths are whole packets."""
    return ms // PACKET_MS * (RATE * PACKET_MS // 1_000) * 2


class _Ogg(FileStream):
    """The packets are in the log already; a page for each chunk, or several."""

    def __init__(self, chapters: Sequence[Chapter]) -> None:
        self._pages = OggPages(chapters)

    def pieces(self, chunk: StoredChunk) -> Iterator[bytes]:
        yield self._pages.push(list(unframe(chunk.packets)))

    def finish(self) -> bytes:
        return self._pages.finish()


class _Decoded(FileStream):
    def __init__(self, head: bytes, encoder: "Mp3Encoder | _Packed | None") -> None:
        """`encoder` of the samples; None: they stand in the file as they are."""
        self._head = head
        self._encoder = encoder
        self._decoder = OpusDecoder()

    def pieces(self, chunk: StoredChunk) -> Iterator[bytes]:
        if self._head:
            yield self._take_head()
        for pcm in self._pcm(chunk):
            yield pcm if self._encoder is None else self._encoder.encode(pcm)

    def finish(self) -> bytes:
        return self._take_head() + (b"" if self._encoder is None else self._encoder.finish())

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def _pcm(self, chunk: StoredChunk) -> Iterator[bytes]:
        """As much as the chunk says it has: places in the file follow from that."""
        if chunk.chunk == 0:
            self._decoder = OpusDecoder()
        left = pcm_bytes(chunk.ms)
        for pcm in self._decoder.pieces(chunk.packets):
            yield pcm[:left]
            left -= len(pcm[:left])
        while left:
            yield bytes(min(left, _SILENCE_BYTES))
            left -= min(left, _SILENCE_BYTES)


class _Sink:
    """A file that FFmpeg cannot go back in: what was written has left."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class _Packed:
    """By FFmpeg's encoder, in its container."""

    def __init__(self, container: str, codec: str) -> None:
        self._sink = _Sink()
        # Without a buffer: else the first bytes would wait for 32 kB of others.
        self._file: Any = av.open(self._sink, "w", format=container, buffer_size=256)
        rated: dict[str, Any] = {"bit_rate": _BITRATE} if codec == "aac" else {}
        self._stream: Any = self._file.add_stream(codec, rate=RATE, layout="mono", **rated)
        self._samples = 0

    def encode(self, pcm: bytes) -> bytes:
        if pcm:
            frame = av.AudioFrame.from_ndarray(
                np.frombuffer(pcm, np.int16).reshape(1, -1), format="s16", layout="mono"
            )
            frame.sample_rate = RATE
            frame.pts = self._samples
            self._samples += frame.samples
            self._file.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        if self._samples:
            self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.take()
