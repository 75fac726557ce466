"""Recordings of any kind that PyAV reads, as PCM, piece by piece."""

from collections.abc import Iterator
from types import TracebackType
from typing import IO, Final, Self

import av
import av.error
import av.logging

from schemas.errors import NotSound

RATE: Final = 16_000
_LONGEST_MS: Final = 400 * 86_400_000
"""A header that promises more is wrong."""

av.logging.set_level(av.logging.PANIC)


class SoundFile:
    """A recording in an open file; a context manager. Every method may take a while: call it off the loop."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises NotSound for what holds no sound that can be read."""
        try:
            self._container = av.open(file, mode="r", metadata_errors="ignore")
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            raise NotSound(
                f"this is no recording that can be read ({_reason(error)})", field="body"
            ) from error
        if not self._container.streams.audio:
            self._container.close()
            raise NotSound(f"there is no sound in this {self.format} file", field="body")
        self._stream = self._container.streams.audio[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def format(self) -> str:
        """The container's name, as "wav" or "mov,mp4,m4a"."""
        return str(self._container.format.name)

    @property
    def rate(self) -> int:
        """Samples per second, as recorded."""
        return int(self._stream.rate or 0)

    @property
    def total_ms(self) -> int | None:
        """How long it says it is; None: it does not say."""
        micros = self._container.duration
        if micros is None or micros <= 0 or micros // 1_000 > _LONGEST_MS:
            return None
        return int(micros // 1_000)

    def pieces(self) -> Iterator[bytes]:
        """16-bit mono PCM at 16 kHz. Raises NotSound where nothing of it can be decoded.

        A file that breaks off, or is damaged in places, gives what can be decoded of it.
        """
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        decoded = False
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for frame in frames:
                    decoded = True
                    for out in resampler.resample(frame):
                        yield out.to_ndarray().tobytes()
        except (av.error.FFmpegError, ValueError) as error:
            if not decoded:
                raise NotSound(f"the sound cannot be decoded ({_reason(error)})", field="body") from error
        if not decoded:
            raise NotSound("there is no sound in it", field="body")
        for out in resampler.resample(None):
            yield out.to_ndarray().tobytes()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
