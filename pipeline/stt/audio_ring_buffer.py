"""The last sound of an input, as long as somebody may still ask for it."""

from typing import Final

_BYTES_PER_MS: Final = 32
"""16-bit mono at 16 kHz."""


class AudioRingBuffer:
    """Keeps PCM16 at 16 kHz by its time in the input: never more than `max_ms`, the oldest goes first."""

    def __init__(self, *, max_ms: int, at_ms: int = 0) -> None:
        self._pcm = bytearray()
        self._from_ms = at_ms
        self._max_ms = max_ms

    @property
    def from_ms(self) -> int:
        """The oldest that is kept."""
        return self._from_ms

    @property
    def at_ms(self) -> int:
        """How far it goes, in whole milliseconds."""
        return self._from_ms + len(self._pcm) // _BYTES_PER_MS

    def push(self, pcm: bytes) -> None:
        """Appends the next sound, of any length."""
        self._pcm += pcm
        self.forget(self.at_ms - self._max_ms)

    def slice(self, start_ms: int, end_ms: int) -> bytes:
        """The sound from start_ms to end_ms, as far as it is kept."""
        start, end = max(start_ms, self._from_ms), min(end_ms, self.at_ms)
        if start >= end:
            return b""
        offset = self._from_ms
        return bytes(self._pcm[(start - offset) * _BYTES_PER_MS : (end - offset) * _BYTES_PER_MS])

    def forget(self, before_ms: int) -> None:
        """Drops the sound before a position."""
        gone_ms = min(before_ms, self.at_ms) - self._from_ms
        if gone_ms > 0:
            del self._pcm[: gone_ms * _BYTES_PER_MS]
            self._from_ms += gone_ms
