"""A turn's or session's audio as one file that any player plays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from pipeline.audio.audio_formats import AudioFormat, Mp3Encoder, wav_header
from pipeline.audio.chapter_tags import Chapter, id3_tag
from pipeline.audio.ogg import ogg_pages
from pipeline.audio.opus import PACKET_MS, RATE, OpusDecoder, unframe


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One `audio.chunk` event with its bytes."""

    packets: bytes
    chunk: int
    """Zero begins a sentence."""
    ms: int


def file_pieces(
    fmt: AudioFormat,
    chunks: Iterable[StoredChunk],
    *,
    total_ms: int | None,
    chapters: Sequence[Chapter] = (),
) -> Iterator[bytes]:
    """The file in pieces, chunk by chunk, for audio of any length.

    `total_ms` is the sum of the chunks' lengths where nothing will follow, None where more may come: then
    sizes are left open and nothing is flushed, so that (but for the WAV header and Ogg's last page) the
    pieces are the beginning of the later file. `chapters` are of Ogg and MP3 files.
    """
    match fmt:
        case "opus":
            packets = (packet for chunk in chunks for packet in unframe(chunk.packets))
            yield from ogg_pages(packets, complete=total_ms is not None, chapters=chapters)
        case "pcm16":
            yield from _pcm(chunks)
        case "wav":
            yield wav_header(None if total_ms is None else pcm_bytes(total_ms))
            yield from _pcm(chunks)
        case "mp3":
            # One encoder for all sentences: none of them brings the 50 to 90 ms of padding of its own.
            mp3 = Mp3Encoder()
            yield id3_tag(chapters)
            yield from (mp3.encode(pcm) for pcm in _pcm(chunks))
            if total_ms is not None:
                yield mp3.finish()
        case _:
            assert_never(fmt)


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


def _pcm(chunks: Iterable[StoredChunk]) -> Iterator[bytes]:
    decoder = OpusDecoder()
    for chunk in chunks:
        if chunk.chunk == 0:
            decoder = OpusDecoder()
        yield from decoder.pieces(chunk.packets)
