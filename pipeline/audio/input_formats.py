"""Sound as a client sends it, to the one form in which it is listened to: PCM16 mono at 16 kHz."""

from collections.abc import Iterator
from typing import Any, Final, Literal, assert_never

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.audio.opus import single_frames
from schemas.errors import NotSound

RATE: Final = 16_000
"""Samples per second of everything that listens."""
OPUS_RATE: Final = 48_000
_OPUS_HEAD: Final = b"OpusHead\x01\x01" + bytes(2) + OPUS_RATE.to_bytes(4, "little") + bytes(3)

_PART: Final = 32_000
"""Bytes of a frame that are decoded in one go: some milliseconds of work."""

IncomingFormat = Literal["pcm16", "opus", "mulaw", "alaw"]
_Samples = NDArray[np.float32]


class Incoming:
    """One stream of frames on its way to 16 kHz. How it is cut into frames never changes the samples.

    "pcm16" is little-endian, "mulaw" and "alaw" are G.711, and in "opus" a frame is one packet, whatever
    `rate` says. The resampler works in blocks: it holds 10 ms back on average (30 ms at 8 kHz),
    until `flush`, and moves nothing in time.
    """

    def __init__(self, format: IncomingFormat, rate: int) -> None:
        self._rate = OPUS_RATE if format == "opus" else rate
        self._format: IncomingFormat = format
        self._half = b""
        self._heard = 0
        self._decoder: Any = _opus_decoder() if format == "opus" else None
        self._resampler: Any = None
        if self._rate != RATE:
            # Not int16: that is dithered, so the same sound would not give the same samples.
            self._resampler = soxr.ResampleStream(self._rate, RATE, 1, dtype="float32", quality="LQ")

    @property
    def ms(self) -> int:
        """Of what came in, in whole milliseconds."""
        return self._heard * 1_000 // self._rate

    def push(self, frame: bytes) -> bytes:
        """The samples that are complete now. Raises NotSound; the stream can go on after that."""
        if self._format == "pcm16" and self._resampler is None:
            whole = self._whole(frame)
            self._heard += len(whole) // 2
            return whole
        samples = self._samples(frame)
        self._heard += len(samples)
        return self._resampled(samples, last=False)

    def parts(self, frame: bytes) -> Iterator[bytes]:
        """As `push`, a part at a time, so that somebody else may have the loop between them."""
        if self._format == "opus":
            yield self.push(frame)
            return
        for start in range(0, len(frame), _PART):
            yield self.push(frame[start : start + _PART])

    def flush(self) -> bytes:
        """The samples still held; nothing can be pushed afterwards."""
        self._half = b""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _samples(self, frame: bytes) -> _Samples:
        match self._format:
            case "pcm16":
                return _as_floats(np.frombuffer(self._whole(frame), "<i2"))
            case "mulaw":
                return _as_floats(_MULAW[np.frombuffer(frame, np.uint8)])
            case "alaw":
                return _as_floats(_ALAW[np.frombuffer(frame, np.uint8)])
            case "opus":
                return self._unpacked(frame)
            case _:
                assert_never(self._format)

    def _whole(self, frame: bytes) -> bytes:
        """The frame's whole samples, behind half a sample of the frame before."""
        sound = self._half + frame
        end = len(sound) // 2 * 2
        self._half = sound[end:]
        return sound[:end]

    def _unpacked(self, packet: bytes) -> _Samples:
        if not packet:
            raise NotSound("An Opus packet is not empty.", field="audio")
        try:
            packets = map(av.Packet, single_frames(packet))
            pieces = [frame.to_ndarray()[0] for one in packets for frame in self._decoder.decode(one)]
        except (ValueError, av.error.FFmpegError) as error:
            raise NotSound("This is no Opus packet.", field="audio") from error
        return np.concatenate([np.zeros(0, np.float32), *pieces])

    def _resampled(self, samples: _Samples, *, last: bool) -> bytes:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        scaled = np.rint(samples * 32_768).clip(-32_768, 32_767)
        return bytes(scaled.astype("<i2").tobytes())


def _opus_decoder() -> Any:
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = _OPUS_HEAD
    decoder.sample_rate = OPUS_RATE
    decoder.layout = "mono"
    return decoder


def _as_floats(samples: NDArray[np.int16]) -> _Samples:
    return samples.astype(np.float32) / np.float32(32_768)


def _mulaw_table() -> NDArray[np.int16]:
    """G.711: the code is inverted; sign, 3 bits of exponent, 4 of mantissa, and a bias of 33 in 14 bits."""
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    """G.711: every other bit is inverted, a set sign bit means positive, the lowest segment is linear."""
    code = np.arange(256) ^ 0x55
    mantissa, exponent = ((code & 0x0F) << 4) + 8, code >> 4 & 7
    size = np.where(exponent == 0, mantissa, mantissa + 0x100 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


_MULAW: Final = _mulaw_table()
_ALAW: Final = _alaw_table()


def g711(format: Literal["mulaw", "alaw"]) -> NDArray[np.int16]:
    """The sample of every code."""
    return _MULAW if format == "mulaw" else _ALAW
