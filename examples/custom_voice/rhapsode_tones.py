"""Example of an engine from another package: a voice that plays each word as a tone as long as the word.

    pip install ./examples/custom_voice
    RHAPSODE_TEXT_TO_SPEECH__ENGINE=tones RHAPSODE_SESSION__VOICE=tones rhapsode up

`RHAPSODE_TEXT_TO_SPEECH__OPTIONS='{"pitch_hz": 440}'` changes the pitch. The test beside this file runs
Rhapsode's contract suite over the voice.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import numpy as np

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, TimedWord, WordTimes
from schemas.errors import UnknownVoice
from schemas.settings import TextToSpeechSettings

_MS_PER_LETTER = 60
_PAUSE_MS = 60
_CHUNK_MS = 100


def build(settings: TextToSpeechSettings, cache: Path) -> "Tones":
    """The function that the entry point names. `cache` is a folder for prepared files; tones need none."""
    return Tones(float(str(settings.options.get("pitch_hz", 330))))


class Tones:
    """Satisfies LocalTextToSpeech: 16-bit mono PCM at 24 kHz, and the time of each word before it."""

    sample_rate = 24_000
    voices = ("tones",)
    languages: Mapping[str, tuple[str, ...]] = {"tones": ("en", "de")}

    def __init__(self, pitch_hz: float) -> None:
        self._pitch_hz = pitch_hz
        self.open_streams = 0
        """Sentences that are being spoken; the contract suite wants to know."""

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """Yields the word times, then chunks of sound. Raises UnknownVoice."""
        if voice not in self.voices:
            raise UnknownVoice(f"There is no voice {voice!r}; there is: tones.", field="voice")
        words, at = list[TimedWord](), 0.0
        for word in re.finditer(r"\w\S*", text):
            ms = len(word[0]) * _MS_PER_LETTER / speed
            words.append(TimedWord(word.start(), word.end(), round(at), round(at + ms)))
            at += ms + _PAUSE_MS / speed
        if not words:
            return
        self.open_streams += 1
        try:
            yield WordTimes(tuple(words))
            pcm = self._sound(words)
            step = _CHUNK_MS * self.sample_rate // 1_000 * 2
            for start in range(0, len(pcm), step):
                await asyncio.sleep(0)  # other sentences are spoken meanwhile
                yield pcm[start : start + step]
        finally:
            self.open_streams -= 1

    def _sound(self, words: list[TimedWord]) -> bytes:
        per_ms = self.sample_rate / 1_000
        sound = np.zeros(int((words[-1].end_ms + _PAUSE_MS) * per_ms))
        for number, word in enumerate(words):
            length = int((word.end_ms - word.start_ms) * per_ms)
            pitch_hz = self._pitch_hz * (1 + number % 5 / 8)
            tone = np.sin(2 * np.pi * pitch_hz * np.arange(length) / self.sample_rate)
            sound[int(word.start_ms * per_ms) :][:length] = 6_000 * tone * np.hanning(length)
        return sound.astype("<i2").tobytes()

    def check(self) -> None:
        """Raises EngineDead where the voice can do nothing any more. This one always can."""

    async def aclose(self) -> None:
        """Nothing is open."""
