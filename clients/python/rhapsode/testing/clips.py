"""The clips of loadtests/client/recorded_speech.py put together, hidden in noise, compared with a text."""

import re

import jiwer
import numpy as np
import pytest
from num2words import num2words

from loadtests.client.recorded_speech import Clip, available

needs_clips = pytest.mark.skipif(not available(), reason="needs Debian's pocketsphinx-testdata")
_SHORT = {"mr": "mister"}


def joined(clips: list[Clip]) -> Clip:
    return Clip("joined", b"".join(clip.pcm for clip in clips), " ".join(clip.text for clip in clips))


def noisy(clip: Clip, decibels: float) -> Clip:
    """With white noise, so many decibels below the speech; always the same."""
    sound = np.frombuffer(clip.pcm, "<i2").astype(float)
    noise = np.random.default_rng(len(sound)).normal(0.0, 1.0, len(sound))
    loudness = np.sqrt((sound**2).mean() / 10 ** (decibels / 10))
    mixed = (sound + noise * loudness).clip(-32_768, 32_767).astype("<i2")
    return Clip(f"{clip.name} {decibels:g} dB", mixed.tobytes(), clip.text)


def plain(text: str) -> str:
    """As it is spoken: small letters, numbers as words, nothing between the words but spaces."""
    text = re.sub(r"\d+", lambda number: f" {num2words(int(number[0]))} ", text.lower())
    words = re.sub(r"[^a-z' ]+", " ", text).split()
    return " ".join(_SHORT.get(word, word) for word in words)


def word_errors(texts: list[tuple[str, str]]) -> float:
    """Of (reference, hypothesis) pairs, all together."""
    return float(jiwer.wer([plain(said) for said, _ in texts], [plain(heard) for _, heard in texts]))
