"""Sound for Realtime sockets: PCM at 24 kHz from files of sound."""

import wave

import numpy as np
import soxr

RATE = 24_000


def widened(path: str) -> bytes:
    """A file's sound, mono, at the rate of Realtime sockets."""
    with wave.open(path, "rb") as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    wide = soxr.resample(samples, rate, RATE)
    return bytes(np.asarray(wide).astype("<i2").tobytes())


def silence(seconds: float) -> bytes:
    return bytes(round(seconds * RATE) * 2)
