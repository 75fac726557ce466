"""Cuts a recording of any length at pauses for Whisper, whose window has 30 s, while it is read."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.stt.pcm_samples import RATE, samples

WINDOW: Final = 30 * RATE
"""Samples that one piece may have."""
_BLOCK: Final = 4 * WINDOW
_PAUSE: Final = 2 * RATE
"""Speech that ends so long before the end of a block does not go on in the next one."""

Spoken = Callable[[NDArray[np.float32]], list[tuple[int, int]]]
"""Finds the speech in at most two minutes: (first sample, end) of pieces of at most 30 s, in order."""


def pieces(pcm: bytes, spoken: Spoken) -> Iterator[tuple[int, int]]:
    """(First sample, end) of what is spoken; looks two minutes ahead, not at the whole hour."""
    end = len(pcm) // 2
    at = 0
    while at < end:
        block = samples(pcm[2 * at : 2 * (at + _BLOCK)])
        last = at + len(block) >= end
        found = spoken(block)
        whole = found if last else [piece for piece in found if piece[1] <= len(block) - _PAUSE]
        for start, stop in whole:
            yield at + start, at + stop
        if last:
            return
        at += found[len(whole)][0] if len(whole) < len(found) else len(block) - _PAUSE
