"""The silence that a voice elsewhere sends before its first sound: all but a little of it is cut."""

from typing import Final

import numpy as np

_QUIET: Final = 104
"""Of 32,767: 50 dB below full scale, softer than any beginning of a word that can be heard."""
_LEAD_MS: Final = 20
"""What is left before the first sample that is louder: soft consonants begin before it."""
_MOST_CUT_MS: Final = 500
"""A voice that is silent for longer may mean it."""


class Onset:
    """Of one sentence. Pure: how the sound comes in pieces changes nothing."""

    def __init__(self, rate: int) -> None:
        self._lead = rate * _LEAD_MS // 1_000
        self._most = rate * _MOST_CUT_MS // 1_000
        self._held: bytes | None = b""
        """All that came before the first sound; None: there was some."""

    def push(self, pcm: bytes) -> bytes:
        """16-bit mono PCM, whole samples; what is to be heard now."""
        if self._held is None:
            return pcm
        begins = len(self._held) // 2
        self._held += pcm
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > _QUIET)
        if not loud.size and len(self._held) // 2 < self._most + self._lead:
            return b""
        first = begins + int(loud[0]) if loud.size else len(self._held) // 2
        cut = max(0, min(first - self._lead, self._most))
        heard, self._held = self._held[2 * cut :], None
        return heard

    def finish(self) -> bytes:
        """Nothing more comes: a sentence that was silent all through is as it was sent."""
        held, self._held = self._held, None
        return held or b""
