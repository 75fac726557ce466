"""Two-second measurement of a model on this machine, and whether that is fast enough to talk with."""

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from pipeline.engines.ports import ChatRequest, Message, WordTimes
from schemas.settings import LanguageModelSettings, TextToSpeechSettings

FIRST_WORD_S: Final = 0.4
TOKENS_PER_S: Final = 8.0
REAL_TIME_FACTOR: Final = 0.5
WANTED: Final = (
    f"Wanted: the first word within {FIRST_WORD_S} s and {TOKENS_PER_S:.0f} tokens a second, or at most "
    f"{REAL_TIME_FACTOR} s of work for a second of speech."
)
_MEASURED_S: Final = 2.0
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
    from pipeline.engines.registry import build_text_to_speech

    engine = build_text_to_speech(settings, cache)
    try:
        [name] = engine.voices
        for _ in range(2):
            began, samples = monotonic(), 0
            async with aclosing(engine.synthesize(_SENTENCE, voice=name)) as pieces:
                async for piece in pieces:
                    samples += 0 if isinstance(piece, WordTimes) else len(piece) // 2
            factor = (monotonic() - began) / max(samples / engine.sample_rate, 1e-3)
    finally:
        await engine.aclose()
    return ModelSpeed(f"{factor:.2f} s of work for a second of speech", factor <= REAL_TIME_FACTOR)
