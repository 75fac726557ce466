"""Two-second measurement of a model on this machine, and whether that is fast enough to talk with."""

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from pipeline.engines.ports import ChatRequest, LocalSpeechToText, Message, Utterance, WordTimes
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings

FIRST_WORD_S: Final = 0.4
TOKENS_PER_S: Final = 8.0
REAL_TIME_FACTOR: Final = 0.5
REALTIME_MODE, QUALITY_MODE = 0.3, 1.0
"""Seconds of work for a second of speech, at most: an answer waits for the text of its question."""
WANTED: Final = (
    f"Wanted: the first word within {FIRST_WORD_S} s and {TOKENS_PER_S:.0f} tokens a second, or at most "
    f"{REAL_TIME_FACTOR} s of work for a second of speech; {REALTIME_MODE} s to listen in the mode realtime, "
    f"{QUALITY_MODE} s in the mode quality."
)
_MEASURED_S: Final = 2.0
_RATE: Final = 16_000
_SYSTEM: Final = "You are a warm storyteller and a helpful assistant. Answer in plain, flowing prose."
_QUESTION: Final = "Tell me a long story about a lighthouse, its keeper, and the ships that pass it at night."
_SENTENCE: Final = (
    "The keeper climbed the stairs each evening, lit the lamp, and counted the ships that passed."
)


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """One model's speed on this machine."""

    about: str
    fits: bool


async def language_model(settings: LanguageModelSettings, cache: Path) -> ModelSpeed:
    """Loads the model, asks it one question, and stops after two seconds of its answer."""
    from pipeline.engines.registry import build_language_model

    model = build_language_model(settings, cache)
    try:
        request = ChatRequest((Message("system", _SYSTEM), Message("user", _QUESTION)))
        began, first, deltas = monotonic(), 0.0, 0
        async with aclosing(model.stream(request)) as answer:
            async for delta in answer:
                first = first or monotonic() - began
                deltas += isinstance(delta, str)
                if monotonic() - began > first + _MEASURED_S:
                    break
        rate = (deltas - 1) / max(monotonic() - began - first, 1e-3)
    finally:
        await model.aclose()
    fits = first <= FIRST_WORD_S and rate >= TOKENS_PER_S
    return ModelSpeed(f"first word after {first:.2f} s, {rate:.0f} tokens a second", fits)


async def voice(settings: TextToSpeechSettings, cache: Path) -> ModelSpeed:
    """Loads the voice and lets it speak one sentence, twice: the first time is not counted."""
    _, seconds, work = await _spoken(settings, cache)
    factor = work / seconds
    return ModelSpeed(f"{factor:.2f} s of work for a second of speech", factor <= REAL_TIME_FACTOR)


async def speech_to_text(settings: AppSettings) -> ModelSpeed:
    """Lets the packaged voice speak one sentence, and each listening mode write it down.

    Raises UnusableWeights where there is no packaged voice.
    """
    from pipeline.engines import registry

    pcm, seconds, _ = await _spoken(TextToSpeechSettings(), settings.cache)
    engines = {
        "realtime": (registry.build_speech_to_text(settings.speech_to_text, settings.cache), REALTIME_MODE),
        "quality": (
            registry.build_quality_speech_to_text(settings.quality_speech_to_text, settings.cache),
            QUALITY_MODE,
        ),
    }
    factors = {name: await _written(engine, pcm) / seconds for name, (engine, _) in engines.items()}
    fitting = [name for name, factor in factors.items() if factor <= engines[name][1]]
    work = ", ".join(f"{factor:.2f} s ({name})" for name, factor in factors.items())
    tier = f"fits the mode {' and '.join(fitting)}" if fitting else "fits no listening mode"
    return ModelSpeed(f"{work} of work for a second of speech: {tier}", "realtime" in fitting)


async def _written(engine: LocalSpeechToText, pcm: bytes) -> float:
    """Seconds of work for the whole; what is loaded or tuned with the first sound is not counted."""
    try:
        for part in (pcm[:_RATE], pcm):
            began = monotonic()
            async with aclosing(engine.transcribe(Utterance(part, language="en"))) as pieces:
                async for _ in pieces:
                    pass
        return monotonic() - began
    finally:
        await engine.aclose()


async def _spoken(settings: TextToSpeechSettings, cache: Path) -> tuple[bytes, float, float]:
    """The sentence at 16 kHz, its seconds, and the seconds of work for it when it is spoken again."""
    import numpy as np
    import soxr

    from pipeline.engines.registry import build_text_to_speech

    engine = build_text_to_speech(settings, cache)
    try:
        name = engine.voices[0]
        for _ in range(2):
            began = monotonic()
            async with aclosing(engine.synthesize(_SENTENCE, voice=name)) as pieces:
                sound = b"".join([piece async for piece in pieces if not isinstance(piece, WordTimes)])
            work = monotonic() - began
    finally:
        await engine.aclose()
    samples = np.frombuffer(sound, "<i2")
    pcm = soxr.resample(samples, engine.sample_rate, _RATE).astype("<i2").tobytes()
    return pcm, max(len(samples) / engine.sample_rate, 1e-3), work
