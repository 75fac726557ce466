"""What is said into Realtime connections: recorded speech at their rate, and silence."""

from functools import cache

import numpy as np
import soxr

from tests.voice.callers import austen

RATE = 24_000
PER_MS = 48


@cache
def speech() -> bytes:
    """Some seconds of somebody reading, at 24 kHz."""
    return wide(austen())


def wide(pcm: bytes) -> bytes:
    """From 16 kHz."""
    samples = soxr.resample(np.frombuffer(pcm, "<i2"), 16_000, RATE)
    return bytes(np.asarray(samples).astype("<i2").tobytes())


def silence(ms: int) -> bytes:
    return bytes(ms * PER_MS)
