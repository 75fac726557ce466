"""The same engines in this process, one after the other, with nothing between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic_ns

from loadtests.speech import PER_MS, Clip
from loadtests.speech_rows import Floor
from pipeline.engines.ports import SpeechToText, Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.stt.evaluation.word_error_rate import WordErrors, word_errors
from pipeline.stt.utterance_transcriber import write_down
from schemas.settings import AppSettings

_MS = 1e6
_TAIL_MS = 200
"""Of silence after the last word, as the pipeline gives it to the engine."""


@dataclass(frozen=True, slots=True)
class Direct:
    """One clip, by the engines alone. Milliseconds."""

    clip: str
    decode: float
    answer: float
    """From the text to the first packet of the answer's sound."""
    errors: WordErrors

    def voice_to_voice(self, silence_ms: int) -> float:
        return silence_ms + self.decode + self.answer


async def direct(settings: AppSettings, clips: Sequence[Clip], max_tokens: int) -> list[Direct]:
    """Each clip once, after one that warms up."""
    wish = settings.session.model_copy(update={"temperature": 0.0, "max_tokens": max_tokens})
    ear = build_speech_to_text(settings.speech_to_text, settings.cache)
    answers = Floor(settings)
    try:
        found: list[Direct] = []
        for clip in (clips[0], *clips):
            decode, text = await _decode(ear, clip)
            answer = await answers.first_audio_ns(text, wish) / _MS
            found.append(Direct(clip.name, decode, answer, word_errors(clip.text, text)))
        return found[1:]
    finally:
        await ear.aclose()
        await answers.aclose()


async def _decode(ear: SpeechToText, clip: Clip) -> tuple[float, str]:
    end = round(clip.bounds_ms[1] + _TAIL_MS) * PER_MS
    began = monotonic_ns()
    written = await write_down(ear, Utterance(clip.pcm[:end], "en", words=True))
    return (monotonic_ns() - began) / _MS, written.text
