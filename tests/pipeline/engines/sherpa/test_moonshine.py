"""Moonshine by the real sherpa-onnx, with a network of some kilobytes, and Whisper beside it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from loadtests.client.recorded_speech import command
from pipeline.engines.ports import Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.engines.sherpa.moonshine import Moonshine
from pipeline.engines.stt.threaded_speech_to_text import ThreadedSpeechToText
from pipeline.engines.weights.prepared_folders import UnusableWeights
from rhapsode.testing.clips import needs_clips, word_errors
from rhapsode.testing.speech_to_text_contract import SECOND, faint_noise, written
from rhapsode.testing.waiting import eventually
from schemas.errors import EngineDead
from schemas.settings.listening_settings import SpeechToTextSettings
from tests.support.speech import tiny_models

pytestmark = pytest.mark.anyio


def loud(seconds: float) -> bytes:
    tone = np.sin(np.arange(int(seconds * SECOND)) * 0.2) * 8_000
    return tone.astype("<i2").tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.written(tiny_models.moonshine_files(), tmp_path_factory.mktemp("models") / "tiny-en")


@pytest.fixture
async def engine(folder: Path) -> AsyncGenerator[ThreadedSpeechToText, None]:
    engine = ThreadedSpeechToText(Moonshine(folder, threads=1), threads=2, places=2, queued=2)
    yield engine
    await engine.aclose()


@pytest.mark.parametrize("seconds", [0.7, 3, 9.5, 28])
async def test_sound_of_any_length_that_fits_is_written_down_at_once(
    engine: ThreadedSpeechToText, seconds: float
) -> None:
    deltas, transcript = await written(engine, Utterance(loud(seconds), language="en", words=True))
    assert (deltas, transcript.text, transcript.language) == ([], tiny_models.HEARD, "en")
    assert transcript.engine == "moonshine tiny-en"
    assert transcript.words == ()


async def test_longer_sound_is_written_down_in_parts(engine: ThreadedSpeechToText) -> None:
    deltas, transcript = await written(engine, Utterance(loud(40), language="en"))
    assert transcript.text == f"{tiny_models.HEARD} {tiny_models.HEARD}"
    assert len(deltas) == 2


@pytest.mark.parametrize("sound", [b"", b"\x01", bytes(20), bytes(80 * SECOND), faint_noise(2)])
async def test_nothing_said_is_no_text(engine: ThreadedSpeechToText, sound: bytes) -> None:
    assert (await written(engine, Utterance(sound, language="en")))[1].text == ""


async def test_given_up_its_place_is_free_and_shut_down_it_says_so(engine: ThreadedSpeechToText) -> None:
    async with aclosing(engine.transcribe(Utterance(loud(80), language="en"))) as stream:
        await anext(stream)
        assert engine.open_streams == 1
    await eventually(lambda: engine.open_streams == 0)
    engine.check()
    await engine.aclose()
    with pytest.raises(EngineDead):
        await written(engine, Utterance(loud(1), language="en"))


@pytest.mark.weights
@needs_clips
async def test_other_languages_and_sound_of_any_are_whispers(folder: Path, cache: Path) -> None:
    settings = SpeechToTextSettings(engine="moonshine", model_path=folder, turn_detector="none")
    engine = build_speech_to_text(settings, cache)
    try:
        for language in ("en", "en-GB"):
            _, transcript = await written(engine, Utterance(command().pcm, language=language))
            assert transcript.text == tiny_models.HEARD
        for other in (None, "auto", "de"):
            _, transcript = await written(engine, Utterance(command().pcm, language=other, words=True))
            assert transcript.engine.startswith("whisper base")
        _, transcript = await written(engine, Utterance(command().pcm))
        assert word_errors([(command().text, transcript.text)]) <= 0.1
    finally:
        await engine.aclose()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens.txt", None, r"has no tokens\.txt"),
        ("encoder_model.ort", b"no network", "cannot be loaded"),
        ("decoder_model_merged.ort", b"", "cannot be loaded"),
    ],
)
def test_files_that_are_no_model_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    tiny_models.written(tiny_models.moonshine_files(), tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableWeights, match=message):
        Moonshine(tmp_path, threads=1)
