"""A microphone's frames on their way to the server: silence goes out in longer frames, speech at once."""

from array import array
from typing import Final

_TOGETHER_MS: Final = 250
"""Silence in one frame, rounded up to whole frames of the source."""
_AFTER_MS: Final = 2_000
"""Silence in which each frame may still decide when an utterance ends."""
_LOUDER: Final = 2.0
"""Peaks this much above those of silence may be speech."""
_RISE: Final = 1.01
"""The level of silence grows no faster with each frame; it falls at once."""
_INAUDIBLE: Final = 16
"""Peaks of so much of 32,768 (-66 dB) or less are silence everywhere."""


class FrameBatcher:
    """Takes PCM16 at `rate` in frames of any length, and gives it out again in the same order."""

    def __init__(self, rate: int) -> None:
        self._per_ms = 2 * rate // 1_000
        self._waiting = b""
        self._floor = float("inf")
        self._quiet = 0
        """Bytes since the last loud frame."""

    def push(self, pcm: bytes) -> bytes:
        """The sound that is to be sent now: empty, or everything that waited and `pcm`."""
        peak = _peak(pcm)
        loud = peak > max(_INAUDIBLE, _LOUDER * self._floor)
        self._floor = min(float(peak), self._floor * _RISE + 1)
        self._quiet = 0 if loud else self._quiet + len(pcm)
        self._waiting += pcm
        waits = self._quiet > _AFTER_MS * self._per_ms and len(self._waiting) < _TOGETHER_MS * self._per_ms
        return b"" if waits else self.take()

    def take(self) -> bytes:
        """Everything that waits."""
        taken, self._waiting = self._waiting, b""
        return taken


def _peak(pcm: bytes) -> int:
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    return max(max(samples), -min(samples)) if samples else 0
