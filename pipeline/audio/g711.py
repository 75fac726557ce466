"""Samples to G.711, the codec of telephone calls."""

from typing import Any, Final, Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.audio.input_formats import g711
from pipeline.audio.opus import RATE

TELEPHONE_RATE: Final = 8_000
_SAMPLES: Final = 65_536


def _encoding(format: Literal["mulaw", "alaw"]) -> NDArray[np.uint8]:
    """The code whose sample is nearest, of every 16-bit sample from the smallest on."""
    decoded = g711(format).astype(np.int32)
    codes = np.argsort(decoded, kind="stable")
    levels = decoded[codes]
    limits = (levels[1:] + levels[:-1] + 1) // 2
    samples = np.arange(_SAMPLES, dtype=np.int32) - _SAMPLES // 2
    return codes[np.searchsorted(limits, samples, side="right")].astype(np.uint8)


_ENCODING: Final = {"mulaw": _encoding("mulaw"), "alaw": _encoding("alaw")}


def g711_encoded(samples: NDArray[np.floating[Any]], format: Literal["mulaw", "alaw"]) -> bytes:
    """A byte for each sample, whose values are those of 16 bits."""
    whole = np.rint(samples).clip(-_SAMPLES // 2, _SAMPLES // 2 - 1).astype(np.int32)
    return bytes(_ENCODING[format][whole + _SAMPLES // 2].tobytes())


class G711Encoder:
    """One sentence on its way from PCM16 at 24 kHz to G.711 at 8 kHz."""

    def __init__(self, format: Literal["mulaw", "alaw"]) -> None:
        self._format: Literal["mulaw", "alaw"] = format
        self._resampler = soxr.ResampleStream(RATE, TELEPHONE_RATE, 1, dtype="float32", quality="HQ")

    def encode(self, pcm: bytes, *, last: bool) -> bytes:
        """Codes that are complete now, a byte per sample; with `last` all of them, and nothing can follow."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        return g711_encoded(self._resampler.resample_chunk(samples, last=last), self._format)
