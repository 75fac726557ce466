"""Whisper in short windows, for the realtime way: small for the text so far, larger for the end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipeline.engines.ports import Utterance
from pipeline.engines.stt.pcm_samples import RATE, samples
from pipeline.engines.stt.threaded_speech_to_text import DecodedPiece, ThreadedSpeechToText
from pipeline.engines.stt.whisper_model import Hints, WhisperModel, load
from pipeline.engines.stt.whisper_weights import WhisperFiles, whisper_files, whisper_partial_files
from pipeline.engines.stt.whisper_windows import cut, is_silent, lead_in
from schemas.settings.listening_settings import SpeechToTextSettings

_LONGEST_S: Final = 29.0
_LEAST: Final = RATE // 20
"""Samples. Less holds no word."""


def build(settings: SpeechToTextSettings, cache: Path) -> ThreadedSpeechToText:
    """The registry's factory: prepares the weights if need be, then loads both models."""
    full = LoadedWhisper(whisper_files(settings.model_path, cache), settings)
    small = LoadedWhisper(whisper_partial_files(settings.partial_model_path), settings)
    return ThreadedSpeechToText(
        ShortWindows(full, small),
        threads=settings.workers,
        places=settings.workers,
        queued=settings.queued,
        stall_s=settings.stall_s,
    )


class LoadedWhisper:
    """A model in memory, and what it is called."""

    def __init__(self, files: WhisperFiles, settings: SpeechToTextSettings) -> None:
        model = load(
            files.folder,
            device=settings.device,
            compute_type=settings.compute_type,
            threads=settings.threads,
            workers=settings.workers,
        )
        self.name = f"whisper {files.name} {settings.compute_type}"
        self.english_only: bool = not model.model.is_multilingual
        self.model = WhisperModel(model, shortest_s=files.shortest_s, doubt=files.doubt, beam=settings.beam)


class ShortWindows:
    """Satisfies Decoder. Sound that one window does not hold is cut at quiet places."""

    def __init__(self, full: LoadedWhisper, small: LoadedWhisper) -> None:
        self._full = full
        self._small = small

    def engine(self, utterance: Utterance) -> str:
        return self._for(utterance).name

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        """See `Decoder.pieces`."""
        model, sound = self._for(utterance).model, samples(utterance.pcm)
        language = utterance.language if model.knows(utterance.language) else None
        hints = Hints(language, utterance.prompt, utterance.words)
        for start, end in cut(sound, _LONGEST_S):
            at = start + lead_in(sound[start:end])
            while end - at >= _LEAST and not is_silent(sound[at:end]):
                window = model.write(sound[at:end], hints)
                if window.text:
                    ms = at * 1_000 // RATE
                    words = (replace(w, start_ms=w.start_ms + ms, end_ms=w.end_ms + ms) for w in window.words)
                    yield DecodedPiece(window.text, window.language, tuple(words))
                    hints = replace(hints, language=window.language, prompt="")
                at += window.heard

    def _for(self, utterance: Utterance) -> LoadedWhisper:
        small_will_do = utterance.language == "en" or not self._small.english_only
        return self._small if utterance.partial and small_will_do else self._full
