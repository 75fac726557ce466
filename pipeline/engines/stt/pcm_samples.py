"""Functions of every speech-to-text engine: samples from bytes, the named language, words in a text."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ports import Utterance

RATE: Final = 16_000
"""Samples per second of every utterance."""
_WORD: Final = re.compile(r"\S+")


def samples(pcm: bytes) -> NDArray[np.float32]:
    """From -1 to 1. An odd last byte, half a sample, is left out."""
    whole = len(pcm) // 2 * 2
    return np.frombuffer(pcm[:whole], "<i2").astype(np.float32) / np.float32(32_768)


def spans_of_words(text: str) -> list[tuple[int, int]]:
    """Start and end of each word in a text; spaces belong to none."""
    return [found.span() for found in _WORD.finditer(text)]


def named_language(utterance: Utterance) -> str:
    """Empty if the engine is to find it out."""
    return "" if utterance.language in (None, "auto") else str(utterance.language)
