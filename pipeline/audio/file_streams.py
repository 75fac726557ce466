"""The log's Opus as one file in any format, written while it is being made."""

from typing import Any, Final, Literal, Protocol, assert_never

import av
import numpy as np

from pipeline.audio.audio_formats import Mp3Encoder, wav_header
from pipeline.audio.ogg import OggPages
from pipeline.audio.opus import RATE, OpusDecoder, unframe

StreamFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
STREAM_MIME: Final[dict[StreamFormat, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": f"audio/pcm; rate={RATE}; channels=1",
}
_BITRATE: Final = 64_000


class FileStream(Protocol):
    """Takes the chunks of one turn in order and gives the bytes of one file, each time as many as there are.

    The same chunks always give the same bytes. Synchronous and not cheap: callers with a loop use a thread.
    """

    def push(self, packets: bytes, *, chunk: int) -> bytes:
        """`chunk`: its number in its sentence; zero begins one."""
        ...

    def finish(self) -> bytes:
        """Returns the rest when nothing follows."""
        ...


def file_stream(fmt: StreamFormat) -> FileStream:
    """A new file. Nothing has been heard of its length, so its header leaves it open."""
    match fmt:
        case "opus":
            return _Ogg()
        case "pcm":
            return _Decoded(_Plain(b""))
        case "wav":
            return _Decoded(_Plain(wav_header(None)))
        case "mp3":
            return _Decoded(Mp3Encoder())
        case "aac":
            return _Decoded(_Packed("adts", "aac"))
        case "flac":
            return _Decoded(_Packed("flac", "flac"))
        case _:
            assert_never(fmt)


class _Encoder(Protocol):
    """PCM16 at 24 kHz to something else."""

    def encode(self, pcm: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class _Ogg:
    """The packets are in the log already; a page for each chunk."""

    def __init__(self) -> None:
        self._pages = OggPages()

    def push(self, packets: bytes, *, chunk: int) -> bytes:
        return self._pages.push(list(unframe(packets)))

    def finish(self) -> bytes:
        return self._pages.finish()


class _Decoded:
    def __init__(self, encoder: _Encoder) -> None:
        self._encoder = encoder
        self._decoder = OpusDecoder()

    def push(self, packets: bytes, *, chunk: int) -> bytes:
        if chunk == 0:
            self._decoder = OpusDecoder()
        return self._encoder.encode(self._decoder.decode(packets))

    def finish(self) -> bytes:
        return self._encoder.finish()


class _Plain:
    """Nothing but a header before the samples."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def encode(self, pcm: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + pcm

    def finish(self) -> bytes:
        return self.encode(b"")


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
