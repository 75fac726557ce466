"""Whisper for the quality way where WhisperX is not: full windows, more beams, and any length of sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.engines.ports import Utterance, WrittenWord
from pipeline.engines.stt.pcm_samples import RATE, samples
from pipeline.engines.stt.threaded_speech_to_text import DecodedPiece, ThreadedSpeechToText
from pipeline.engines.stt.whisper_model import load, spoken_language
from pipeline.engines.stt.whisper_weights import quality_model
from pipeline.engines.stt.whisper_windows import Sound, cut, is_invented, is_silent, most_tokens
from pipeline.engines.stt.whisper_words import word_times
from schemas.settings.listening_settings import QualitySpeechToTextSettings

_LONGEST_S: Final = 29.0
"""Parts fit into a window, cut at quiet places: by itself faster-whisper doubles words at the seams."""
_TEMPERATURES: Final = (0.0, 0.4)
"""The second, which is left to chance, is tried where the first gave no likely text."""


def build(settings: QualitySpeechToTextSettings, cache: Path) -> ThreadedSpeechToText:
    """The registry's factory: prepares the weights if need be, then loads the model."""
    place = quality_model(settings, cache)
    model = load(
        place, device=settings.device, compute_type=settings.compute_type, threads=settings.threads, workers=1
    )
    name = f"whisper {Path(settings.model).name} {settings.compute_type} beam {settings.beam}"
    decoder = FullWindows(model, name, settings.beam)
    return ThreadedSpeechToText(
        decoder, threads=1, places=settings.batch, queued=settings.queued, stall_s=settings.stall_s
    )


class FullWindows:
    """Satisfies Decoder, by faster-whisper's own way through long sound."""

    def __init__(self, model: Any, name: str, beam: int) -> None:
        self._model = model
        self._name = name
        self._beam = beam

    def engine(self, utterance: Utterance) -> str:
        return self._name

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        """See `Decoder.pieces`."""
        sound = samples(utterance.pcm)
        language = utterance.language if utterance.language in self._model.supported_languages else None
        for start, end in cut(sound, _LONGEST_S):
            part = sound[start:end]
            if not is_silent(part):
                language = language or spoken_language(self._model, part)
                yield from self._part(part, utterance, language, start * 1_000 // RATE)

    def _part(
        self, sound: Sound, utterance: Utterance, language: str, from_ms: int
    ) -> Iterator[DecodedPiece]:
        segments, _ = self._model.transcribe(
            sound,
            language=language,
            task="translate" if utterance.translate else "transcribe",
            beam_size=self._beam,
            temperature=_TEMPERATURES,
            initial_prompt=utterance.prompt.strip() or None,
            condition_on_previous_text=False,
            word_timestamps=utterance.words,
            best_of=1,
            max_new_tokens=most_tokens(2 * len(sound) / RATE),
        )
        sound_ms = len(sound) * 1_000 // RATE
        for segment in segments:
            if not is_invented(segment.text, segment.no_speech_prob, segment.avg_logprob):
                words = _words(segment, sound_ms, from_ms) if utterance.words else ()
                yield DecodedPiece(segment.text, language, words)


def _words(segment: Any, sound_ms: int, from_ms: int) -> tuple[WrittenWord, ...]:
    aligned = [{"word": word.word, "start": word.start, "end": word.end} for word in segment.words]
    return tuple(
        WrittenWord(word.start, word.end, word.start_ms + from_ms, word.end_ms + from_ms)
        for word in word_times(segment.text, aligned, sound_ms)
    )
