"""Vectors that stand for what a text means: what an engine for them promises."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""One row for each text, of length 1: the product of two rows is the cosine of their angle."""


class Embedder(Protocol):
    """Turns texts into vectors. Blocking: call it in a thread. Safe to use from several."""

    @property
    def name(self) -> str:
        """Which model this is. Vectors of different names must not be compared."""
        ...

    @property
    def dimensions(self) -> int: ...

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors for what is searched. A text without any words gets a row of zeros."""
        ...

    def question(self, text: str) -> Vectors:
        """One row, for what is asked."""
        ...


def unit(rows: Vectors) -> Vectors:
    """The same directions, with length 1; rows of zeros stay so."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return scaled
