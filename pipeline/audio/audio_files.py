"""Sound of the log as one file that any player plays, whole or while it is being made."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, assert_never

import av
import numpy as np

from pipeline.audio.audio_formats import AudioFormat, Mp3Encoder, StreamFormat, wav_header
from pipeline.audio.chapter_tags import Chapter, id3_tag
from pipeline.audio.ogg import OggPages
from pipeline.audio.opus import PACKET_MS, RATE, OpusDecoder, unframe
from schemas.events.recorded import Recorded

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
