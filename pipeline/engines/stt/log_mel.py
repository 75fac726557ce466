"""Whisper's log-mel features of eight seconds of sound, with numpy alone."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 16_000
SAMPLES: Final = 8 * RATE
FRAMES: Final = 800
MELS: Final = 80
_FFT: Final = 400
_HOP: Final = 160
_BREAK_HZ: Final = 1_000.0
"""Slaney's mel scale is linear up to here, and logarithmic above."""
_BREAK_MEL: Final = 15.0
_STEP: Final = np.log(6.4) / 27.0

Floats = NDArray[np.float32]


def log_mel(pcm: bytes) -> Floats:
    """(80, 800) features of the last eight seconds of PCM16 at 16 kHz; before shorter sound is silence.

    As Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2, but
    of sound that was brought to zero mean and unit variance, as the Smart Turn models want it.
    """
    samples = np.zeros(SAMPLES, np.float32)
    last = np.frombuffer(pcm, "<i2")[-SAMPLES:]
    samples[SAMPLES - len(last) :] = last / np.float32(32_768)
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(1e-7))
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[: FRAMES * _HOP : _HOP]
    power = np.abs(np.fft.rfft(frames * _window())) ** 2
    logs = np.log10(np.maximum(_filters() @ power.T.astype(np.float32), 1e-10))
    features: Floats = ((np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """(80, 201) triangles of equal area between 0 and 8 kHz."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), MELS + 2))
    bins = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    up = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    areas = 2.0 / (edges[2:] - edges[:-2])
    return (np.maximum(0.0, np.minimum(up, down)) * areas[:, None]).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HZ) / _STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(
        mels < _BREAK_MEL, mels * _BREAK_HZ / _BREAK_MEL, _BREAK_HZ * np.exp(_STEP * (mels - _BREAK_MEL))
    )
