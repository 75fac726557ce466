"""What a VITS network is asked for; plain data, so that it can be asked for without torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.tts.voice_windows import Sentence

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CoquiFrames:
    """A sentence that only needs decoding."""

    latent: Any
    """(channels, frames), where the network is."""
    speaker: Any
    per_id: NDArray[np.float32]

    @property
    def count(self) -> int:
        return int(self.latent.shape[1])


@dataclass(frozen=True, slots=True)
class SentenceWork:
    """A sentence to be turned into frames."""

    sentence: Sentence
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class WindowWork:
    """Frames [start, end) to be turned into sound."""

    frames: CoquiFrames
    start: int
    end: int
