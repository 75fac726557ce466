"""Samples that a voice in this process makes of a text."""

from contextlib import aclosing

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.engines.ports import LocalTextToSpeech, WordTimes
from pipeline.engines.registry import build_text_to_speech
from schemas.settings import AppSettings


def seeded_voice(settings: AppSettings, seed: int) -> LocalTextToSpeech:
    """The voice of the settings; the noise that it draws is the same in each run with the seed."""
    onnxruntime.set_seed(seed)
    return build_text_to_speech(settings.text_to_speech, settings.cache)


async def spoken(
    voice: LocalTextToSpeech, text: str, speed: float = 1.0
) -> tuple[NDArray[np.int16], WordTimes]:
    """Samples at the voice's own rate, and the times of the words."""
    pcm, words = b"", WordTimes()
    async with aclosing(voice.synthesize(text, voice=voice.voices[0], speed=speed)) as items:
        async for item in items:
            if isinstance(item, bytes):
                pcm += item
            else:
                words = item
    return np.frombuffer(pcm, "<i2"), words
