"""Who speaks when: optional, as its model has to be asked for at the hub with a token."""

import logging
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from whisperx.diarize import DiarizationPipeline, assign_word_speakers

from pipeline.engines.ports import WrittenWord
from schemas.settings.listening_settings import QualitySpeechToTextSettings

_log: Final = logging.getLogger(__name__)


class Diarizer:
    """Names the speaker of each word; one recording at a time."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def named(self, sound: NDArray[np.float32], words: tuple[WrittenWord, ...]) -> tuple[WrittenWord, ...]:
        """The same words; a speaker keeps its name, as "SPEAKER_00", through the recording."""
        return with_speakers(words, self._pipeline(sound))


def open_diarizer(settings: QualitySpeechToTextSettings) -> Diarizer | None:
    """None: it is not wanted, or cannot be had, and then the log says why."""
    if not settings.diarize:
        return None
    if settings.diarize_token is None:
        _log.warning("speakers are not told apart: quality_speech_to_text.diarize_token is missing")
        return None
    token = settings.diarize_token.get_secret_value()
    try:
        return Diarizer(DiarizationPipeline(token=token, device=settings.device))
    except Exception as error:  # the hub's and pyannote's have no base in common
        _log.warning("speakers are not told apart: the model does not load (%s)", type(error).__name__)
        return None


def with_speakers(words: tuple[WrittenWord, ...], turns: Any) -> tuple[WrittenWord, ...]:
    """`turns`: pyannote's table of who speaks from when to when, in seconds."""
    timed = [{"start": word.start_ms / 1_000, "end": word.end_ms / 1_000} for word in words]
    whole = {"start": timed[0]["start"], "end": timed[-1]["end"], "words": timed}
    assign_word_speakers(turns, {"segments": [whole]}, fill_nearest=True)
    return tuple(
        replace(word, speaker=str(told.get("speaker", ""))) for word, told in zip(words, timed, strict=True)
    )
