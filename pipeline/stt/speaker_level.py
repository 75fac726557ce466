"""Level of the voice at one input: a sound far below it comes from somewhere else in the room."""

from collections import deque
from math import inf, log10
from typing import Final

import numpy as np

from schemas.ids import TurnId

_RECENT_FRAMES: Final = 16
"""Half a second: a short word over other speech is heard, and a single loud vowel of it is not."""
_NEWER: Final = 0.3
"""Weight of the newest utterance in the usual level."""


class UtteranceLevel:
    """Level of one utterance's voiced frames, in dB of a square of one unit of 16 bits, and what it was over.

    Both tell a television, and an answer that the microphone hears, from a user.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_RECENT_FRAMES)
        self._power = 0.0
        self._frames = 0
        self.highest_db = -inf
        """Of the mean powers of the last half second, as it went on."""
        self.over: TurnId | None = None
        """The answer that was heard when the utterance was first noticed."""

    def push(self, frame: bytes) -> None:
        """One voiced frame of PCM16; some 5 µs."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        power = float(samples @ samples) / len(samples) + 1
        self._recent.append(power)
        self._power += power
        self._frames += 1
        self.highest_db = max(self.highest_db, 10 * log10(sum(self._recent) / len(self._recent)))

    @property
    def mean_db(self) -> float:
        return 10 * log10(self._power / self._frames) if self._frames else -inf


class SpeakerLevel:
    """Usual level of those who ask at one input."""

    def __init__(self) -> None:
        self.usual_db: float | None = None
        """None: nothing was asked yet."""

    def learn(self, asked: UtteranceLevel) -> None:
        """An utterance that asked something, however loud it was: the user may have moved away."""
        if asked.mean_db > -inf:
            usual = asked.mean_db if self.usual_db is None else self.usual_db
            self.usual_db = usual + _NEWER * (asked.mean_db - usual)

    def is_distant(self, heard: UtteranceLevel, distant_db: float | None) -> bool:
        """Whether no half second of it came within `distant_db` of the usual level; False if unknown."""
        if self.usual_db is None or distant_db is None:
            return False
        return heard.highest_db < self.usual_db - distant_db
