"""Sound for Realtime connections: recorded speech at their rate, and silence."""

from functools import cache

import numpy as np
import soxr

from pipeline.audio.input_formats import g711
from tests.support.clients.native_speaker import austen

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


def as_mulaw(pcm: bytes) -> bytes:
    """As a telephone sends it."""
    samples = soxr.resample(np.frombuffer(pcm, "<i2"), RATE, 8_000)
    values = g711("mulaw").astype(np.int32)
    order = np.argsort(values, kind="stable")
    edges = (values[order][:-1] + values[order][1:]) / 2
    return bytes(order[np.searchsorted(edges, np.asarray(samples))].astype(np.uint8).tobytes())


def silence_of_telephones() -> bytes:
    return b"\xff" * 2_400
