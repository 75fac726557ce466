"""WhisperX gives word times, and the speaker of each word."""

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas
import pytest
from pydantic import SecretStr

from loadtests.client.recorded_speech import librivox
from pipeline.engines.ports import Transcript, WrittenWord
from pipeline.engines.stt.whisperx.whisperx_engine import WhisperX, build
from pipeline.engines.stt.whisperx.whisperx_model import Aligner, Aligners, open_diarizer, with_speakers
from rhapsode.testing.clips import needs_clips
from schemas.settings.listening_settings import QualitySpeechToTextSettings
from tests.engines_speech.expected_text import said
from tests.engines_speech.inside.conftest import SETTINGS


@needs_clips
def test_a_configured_aligner_times_the_words(cache: Path, untrained_aligner: Path) -> None:
    settings = SETTINGS.model_copy(update={"align_model": str(untrained_aligner)})
    aligned: WhisperX = build(settings, cache)
    assert isinstance(aligned._model._aligners.of("en"), Aligner)
    (answer,) = aligned.transcribe_many([said(librivox()[0], words=True)])
    assert isinstance(answer, Transcript)
    assert [answer.text[word.start : word.end] for word in answer.words] == answer.text.split()
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(answer.words))


@pytest.mark.parametrize("text", ["In Vertrauen", "in confidence, and far too long for so little sound"])
def test_words_that_cannot_be_placed_are_in_no_output(
    cache: Path,
    untrained_aligner: Path,
    text: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = SETTINGS.model_copy(update={"align_model": str(untrained_aligner)})
    aligner = Aligners(settings, cache).of("en")
    assert aligner is not None
    family = logging.getLogger("whisperx")
    family.addHandler(caplog.handler)  # it hands nothing on to the others
    try:
        aligner.timed(np.zeros(1_600, np.float32), text)
    finally:
        family.removeHandler(caplog.handler)
    output = "".join(capfd.readouterr()) + caplog.text
    assert text not in output


@pytest.mark.parametrize("language", ["de", "ja"])
def test_without_an_aligner_for_the_language_the_times_are_whispers_own(
    language: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aligners = Aligners(SETTINGS, cache)
    with caplog.at_level(logging.INFO, "pipeline.engines.stt.whisperx.whisperx_model"):
        assert aligners.of(language) is None
        assert aligners.of(language) is None
    assert len(caplog.messages) == 1
    assert "Whisper's own" in caplog.text


def test_aligning_can_be_switched_off(cache: Path, untrained_aligner: Path) -> None:
    settings = SETTINGS.model_copy(update={"align": False, "align_model": str(untrained_aligner)})
    assert Aligners(settings, cache).of("en") is None


@pytest.mark.parametrize("token", [None, SecretStr("not a token")])
def test_without_the_model_speakers_are_not_told_apart_and_the_log_says_why(
    token: SecretStr | None, caplog: pytest.LogCaptureFixture
) -> None:
    wished = QualitySpeechToTextSettings(diarize=True, diarize_token=token)
    with caplog.at_level(logging.WARNING, "pipeline.engines.stt.whisperx.whisperx_model"):
        assert open_diarizer(wished) is None
    assert "speakers are not told apart" in caplog.text
    assert "not a token" not in caplog.text


def test_each_word_has_the_speaker_who_spoke_longest_during_it() -> None:
    words = (WrittenWord(0, 3, 0, 400), WrittenWord(4, 7, 500, 1_100), WrittenWord(8, 11, 3_000, 3_100))
    turns = pandas.DataFrame(
        [{"start": 0.0, "end": 0.6, "speaker": "A"}, {"start": 0.6, "end": 2.0, "speaker": "B"}]
    )
    assert [word.speaker for word in with_speakers(words, turns)] == ["A", "B", "B"]
