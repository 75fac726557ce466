"""When an answer is first heard: the same rule for every system. Pure: every call says what time it is."""

import math
from typing import Final

import numpy as np

RATE: Final = 24_000
LOUD: Final = 328
"""Of 32,767: 40 dB below full scale. What is softer counts as silence."""


class Ear:
    """A loudspeaker that plays each piece of sound when it comes, or after the one before."""

    def __init__(self) -> None:
        self.heard_s: float | None = None
        """When the first loud sample came out of the loudspeaker."""
        self.arrived_s: float | None = None
        """When the piece with that sample had arrived."""
        self.plays_until_s = -math.inf

    def push(self, pcm: bytes, at_s: float) -> bool:
        """PCM16 mono at 24 kHz, arrived at `at_s`. True: something has been heard."""
        begins_s = max(at_s, self.plays_until_s)
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.int32)
        self.plays_until_s = begins_s + len(samples) / RATE
        if self.heard_s is None:
            loud = np.flatnonzero(np.abs(samples) > LOUD)
            if loud.size:
                self.heard_s = begins_s + float(loud[0]) / RATE
                self.arrived_s = at_s
        return self.heard_s is not None
