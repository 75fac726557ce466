"""Recordings in any container that carries its sound in itself, as PCM, piece by piece.

FFmpeg also reads lists of other files and addresses (HLS, DASH, SDP, "ffconcat") and follows them: their
sender would read this machine's files and open its sockets. So this module names the containers that may be
read, instead of those that may not.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Final, Self

import av
import av._core
import av.error
import av.logging
from av.audio.frame import AudioFrame

from schemas.errors import NotSound

_CONTAINERS: Final = (
    ("wav", "w64", "aiff", "au", "caf", "voc", "sox", "nistsphere", "ircam", "avr"),  # PCM
    ("mp3", "aac", "flac", "ogg", "amr", "amrnb", "amrwb", "ac3", "eac3", "dts", "loas"),
    ("ape", "wv", "tta", "tak", "shn", "mpc", "mpc8", "qcp", "dss", "gsm"),
    ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "asf", "xwma"),
    ("avi", "flv", "mpeg", "mpegts"),
)
OPTIONS: Final = {
    "format_whitelist": ",".join(name for row in _CONTAINERS for name in row),
    # The sound is given as an open file; nothing else is to be opened for it.
    "protocol_whitelist": "",
    # Nothing is decoded to learn what else a file holds: of a film of 100 KB the first picture of each of its
    # streams would be, and a file may have a thousand.
    "codec_whitelist": "none",
}
"""For `av.open`."""


RATE: Final = 16_000
_SLOWEST: Final = 1_000
"""Samples per second. Of a slower sound a frame of some bytes is hours, which would be gigabytes as PCM."""
_LONGEST_MS: Final = 400 * 86_400_000
"""A header that promises more is wrong."""

_ALLOCATED: Final = 128 << 20
"""Bytes that FFmpeg may ask for at once, in this process. An MP4 file of 300 bytes may say that it has any
number of packets, for which FFmpeg makes a table: 16 hours of AAC need 60 MB."""

_FRAME_SAMPLES: Final = 4 << 20
"""Of all channels. A frame of FLAC has half a million; a file of ALAC may say that each has a hundred."""

av.logging.set_level(av.logging.PANIC)
ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(_ALLOCATED))  # PyAV has no name for it


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """Facts that a recording tells before its sound."""

    format: str
    """The container's name, as "wav" or "mov,mp4,m4a"."""
    rate: int
    """Samples per second, as recorded."""
    total_ms: int | None
    """How long it says it is; None: it does not say."""


class SoundFile:
    """A recording in an open file; a context manager. Every method may take a while: call it off the loop."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises NotSound for what holds no sound that can be read."""
        try:
            self._container = av.open(file, mode="r", metadata_errors="ignore", options=OPTIONS)
        except av.error.ArgumentError as error:
            raise NotSound("this is no recording of a kind that is read here", field="body") from error
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            raise NotSound(
                f"this is no recording that can be read ({_reason(error)})", field="body"
            ) from error
        if not self._container.streams.audio:
            self._container.close()
            raise NotSound(f"there is no sound in this {self._format} file", field="body")
        self._stream = self._container.streams.audio[0]
        self._stream.codec_context.options = {"max_samples": str(_FRAME_SAMPLES)}
        self._stream.codec_context.thread_count = 1  # on many cores 16, each with a stack of 8 MB

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def header(self) -> SoundHeader:
        return SoundHeader(self._format, int(self._stream.rate or 0), self._total_ms)

    @property
    def _format(self) -> str:
        return str(self._container.format.name)

    @property
    def _total_ms(self) -> int | None:
        micros = self._container.duration
        if micros is None or micros <= 0 or micros // 1_000 > _LONGEST_MS:
            return None
        return int(micros // 1_000)

    def pieces(self) -> Iterator[bytes]:
        """16-bit mono PCM at 16 kHz. Raises NotSound where nothing of it can be decoded.

        A file that breaks off, or is damaged in places, gives what can be decoded of it.
        """
        resampling = _Resampling()
        decoded = False
        try:
            for frame in self._frames():
                pieces = list(resampling.push(frame))
                decoded = True
                yield from pieces
            yield from resampling.flush()
        except av.error.FFmpegError as error:
            if not decoded:
                raise NotSound(f"the sound cannot be decoded ({_reason(error)})", field="body") from error
        if not decoded:
            raise NotSound("there is no sound in it", field="body")

    def _frames(self) -> Iterator[AudioFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue  # damaged: the next packet may be whole


class _Resampling:
    """To 16-bit mono at 16 kHz. Rate and channels may change on the way, as in files put together."""

    def __init__(self) -> None:
        self._kind: tuple[int, str, str] | None = None
        self._resampler: av.AudioResampler | None = None

    def push(self, frame: AudioFrame) -> Iterator[bytes]:
        kind = (frame.sample_rate, frame.layout.name, frame.format.name)
        if frame.sample_rate < _SLOWEST:
            raise NotSound(f"{frame.sample_rate} samples a second are no sound", field="body")
        if kind != self._kind:
            yield from self.flush()
            self._kind = kind
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        yield from self._resampled(frame)

    def flush(self) -> Iterator[bytes]:
        """Returns the samples that are held back. More may be pushed afterwards."""
        yield from self._resampled(None)
        self._kind = self._resampler = None

    def _resampled(self, frame: AudioFrame | None) -> Iterator[bytes]:
        if self._resampler is not None:
            for out in self._resampler.resample(frame):
                yield bytes(out.planes[0])[: 2 * out.samples]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
