"""Moonshine on sherpa-onnx for its language, Whisper for every other one and where none is named.

Moonshine (Jeffries et al., arXiv:2410.15608) looks at as much sound as there is, so short speech costs
little. It says neither which language it hears nor when words were spoken.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.engines.ports import Utterance
from pipeline.engines.sherpa.sherpa_files import MOONSHINE, sherpa_files
from pipeline.engines.stt.pcm_samples import RATE, samples
from pipeline.engines.stt.threaded_speech_to_text import DecodedPiece, ThreadedSpeechToText
from pipeline.engines.stt.whisper import LoadedWhisper, ShortWindows
from pipeline.engines.stt.whisper_weights import whisper_files
from pipeline.engines.stt.whisper_windows import Sound, cut, is_silent, lead_in, repeats_itself
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.languages import primary
from schemas.settings.listening_settings import SpeechToTextSettings

_LONGEST_S: Final = 29.0
_LEAST: Final = RATE // 10
"""Samples. Its convolutions want so many, and less holds no word."""
_LANGUAGE: Final = "en"
"""The language of the models whose licence allows every use, which the manifest has."""


def build(settings: SpeechToTextSettings, cache: Path) -> ThreadedSpeechToText:
    """The registry's factory: loads the model of `settings.model_path`, and the packaged Whisper beside it.

    Raises UnusableWeights.
    """
    moonshine = Moonshine(settings.model_path, threads=settings.threads)
    whisper = LoadedWhisper(whisper_files(None, cache), settings)
    return ThreadedSpeechToText(
        MoonshineOrWhisper(moonshine, ShortWindows(whisper, whisper)),
        threads=settings.workers,
        places=settings.workers,
        queued=settings.queued,
        stall_s=settings.stall_s,
    )


class Moonshine:
    """A model in memory. Satisfies UtteranceDecoder; several threads may use it."""

    def __init__(self, folder: Path | None, *, threads: int) -> None:
        """Raises UnusableWeights."""
        files = sherpa_files(folder, MOONSHINE, "speech_to_text.model_path")
        from sherpa_onnx import OfflineRecognizer

        try:
            self._model = OfflineRecognizer.from_moonshine_v2(**files, num_threads=threads)
        except Exception as error:  # onnxruntime raises what it likes
            raise UnusableWeights(f"The Moonshine model at {folder} cannot be loaded: {error}") from error
        self._name = Path(files["encoder"]).parent.name

    def engine(self, utterance: Utterance) -> str:
        return f"moonshine {self._name}"

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        """See `UtteranceDecoder.pieces`."""
        sound = samples(utterance.pcm)
        for start, end in cut(sound, _LONGEST_S):
            at = start + lead_in(sound[start:end])
            if end - at < _LEAST or is_silent(sound[at:end]):
                continue
            text = self._written(sound[at:end])
            if text and not repeats_itself(text):
                yield DecodedPiece(f" {text}", _LANGUAGE)

    def _written(self, sound: Sound) -> str:
        stream = self._model.create_stream()
        stream.accept_waveform(RATE, sound)
        self._model.decode_stream(stream)
        return str(stream.result.text).strip()


class MoonshineOrWhisper:
    """Satisfies UtteranceDecoder."""

    def __init__(self, moonshine: Moonshine, whisper: ShortWindows) -> None:
        self._moonshine = moonshine
        self._whisper = whisper

    def engine(self, utterance: Utterance) -> str:
        return self._for(utterance).engine(utterance)

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        """See `UtteranceDecoder.pieces`."""
        return self._for(utterance).pieces(utterance)

    def _for(self, utterance: Utterance) -> Moonshine | ShortWindows:
        is_known = utterance.language is not None and primary(utterance.language) == _LANGUAGE
        return self._moonshine if is_known else self._whisper
