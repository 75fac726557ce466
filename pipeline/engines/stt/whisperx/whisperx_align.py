"""WhisperX's aligners, where their models are there; nothing is fetched while somebody waits for a text."""

import logging
from pathlib import Path
from typing import Any, Final

import nltk
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from whisperx.alignment import (
    DEFAULT_ALIGN_MODELS_HF,
    DEFAULT_ALIGN_MODELS_TORCH,
    align,
    load_align_model,
)

from pipeline.engines.stt.pcm_samples import RATE
from pipeline.engines.stt.whisperx.whisperx_punkt import punkt_folder
from pipeline.engines.stt.whisperx.whisperx_words import AlignedWord
from schemas.settings.listening_settings import QualitySpeechToTextSettings

_log: Final = logging.getLogger(__name__)

# It warns of each text that it cannot place, with the text: nobody's words belong into a log.
logging.getLogger(align.__module__).setLevel(logging.ERROR)


class Aligner:
    """Says when each word of a text was spoken."""

    def __init__(self, language: str, device: str, name: str) -> None:
        """Raises ValueError or OSError where there is no such model."""
        self._device = device
        self._model, self._about = load_align_model(language, device, model_name=name, model_cache_only=True)

    def timed(self, sound: NDArray[np.float32], text: str) -> list[AlignedWord]:
        """The words in their order; those that it cannot place are left out."""
        if not text:
            return []
        segment = {"text": text, "start": 0.0, "end": len(sound) / RATE}
        found = align([segment], self._model, self._about, sound, self._device)
        return [
            AlignedWord(word["word"], word["start"], word["end"])
            for word in found["word_segments"]
            if "start" in word and "end" in word
        ]


class Aligners:
    """One for each language, loaded when it is first needed."""

    def __init__(self, settings: QualitySpeechToTextSettings, cache: Path) -> None:
        self._settings = settings
        self._known: dict[str, Aligner | None] = {}
        folder = str(punkt_folder(cache))
        if folder not in nltk.data.path:
            nltk.data.path.append(folder)

    def of(self, language: str) -> Aligner | None:
        """None: word times must come from elsewhere. The log says why, once."""
        if not self._settings.align:
            return None
        if language not in self._known:
            self._known[language] = self._opened(language)
        return self._known[language]

    def _opened(self, language: str) -> Aligner | None:
        name = self._settings.align_model or _usual(language)
        if name is None:
            _log.info("no aligner for %r is here: word times are Whisper's own", language)
            return None
        try:
            return Aligner(language, self._settings.device, name)
        except (ValueError, OSError) as error:
            _log.warning("the aligner %s does not load: word times are Whisper's own (%s)", name, error)
            return None


def _usual(language: str) -> str | None:
    """WhisperX's choice for the language; None: it has none, or the model was never fetched."""
    name: str | None = DEFAULT_ALIGN_MODELS_TORCH.get(language)
    if name is None:
        name = DEFAULT_ALIGN_MODELS_HF.get(language)
        return name  # whether it was fetched, the hub's library sees when it looks into its cache
    bundle: Any = getattr(torchaudio.pipelines, name)
    fetched = Path(torch.hub.get_dir(), "checkpoints", Path(bundle._path).name)
    return name if fetched.is_file() else None
