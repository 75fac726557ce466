"""Whisper hears real people, in short windows and in full ones."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.client.recorded_speech import Clip, cards, command, librivox
from pipeline.engines.ports import Utterance
from pipeline.engines.stt.threaded_speech_to_text import ThreadedSpeechToText, UtteranceDecoder
from pipeline.engines.stt.whisper import LoadedWhisper, ShortWindows
from pipeline.engines.stt.whisper_model import load
from pipeline.engines.stt.whisper_weights import whisper_files, whisper_partial_files
from pipeline.engines.stt.whisper_whole import FullWindows
from pipeline.engines.weights.prepared_folders import UnusableWeights
from rhapsode.testing.clips import needs_clips, noisy, word_errors
from rhapsode.testing.speech_to_text_contract import (
    SECOND,
    CountingSpeechToText,
    TimedSpeechToTextContract,
    heard,
    written,
)
from schemas.settings.listening_settings import SpeechToTextSettings

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
SETTINGS = SpeechToTextSettings()


@pytest.fixture(scope="module")
def short_windows(cache: Path) -> ShortWindows:
    full = LoadedWhisper(whisper_files(None, cache), SETTINGS)
    return ShortWindows(full, LoadedWhisper(whisper_partial_files(None), SETTINGS))


@pytest.fixture(scope="module")
def full_windows(cache: Path) -> FullWindows:
    model: Any = load(
        whisper_files(None, cache).folder, device="cpu", compute_type="int8", threads=1, workers=1
    )
    return FullWindows(model, "whisper base int8 beam 5", 5)


@pytest.fixture
async def near(short_windows: ShortWindows) -> AsyncGenerator[ThreadedSpeechToText, None]:
    engine = ThreadedSpeechToText(short_windows, threads=2, places=2, queued=8)
    yield engine
    await engine.aclose()


async def full_of(decoder: UtteranceDecoder) -> AsyncGenerator[ThreadedSpeechToText, None]:
    """Its one place is taken."""
    engine = ThreadedSpeechToText(decoder, threads=1, places=1, queued=0)
    long = command().pcm * 12
    async with aclosing(engine.transcribe(Utterance(long, language="en"))) as stream:
        await anext(stream)
        yield engine
    await engine.aclose()


class TestShortWindows(TimedSpeechToTextContract):
    @pytest.fixture
    def engine(self, near: ThreadedSpeechToText) -> ThreadedSpeechToText:
        return near

    @pytest.fixture
    async def full_engine(self, short_windows: ShortWindows) -> AsyncGenerator[ThreadedSpeechToText, None]:
        async for engine in full_of(short_windows):
            yield engine


class TestFullWindows(TimedSpeechToTextContract):
    @pytest.fixture
    async def engine(self, full_windows: FullWindows) -> AsyncGenerator[ThreadedSpeechToText, None]:
        engine = ThreadedSpeechToText(full_windows, threads=1, places=2, queued=8)
        yield engine
        await engine.aclose()

    @pytest.mark.long
    async def test_more_than_a_window_holds_is_written_down_to_its_end(
        self, engine: CountingSpeechToText
    ) -> None:
        await super().test_more_than_a_window_holds_is_written_down_to_its_end(engine)

    @pytest.fixture
    async def full_engine(self, full_windows: FullWindows) -> AsyncGenerator[ThreadedSpeechToText, None]:
        async for engine in full_of(full_windows):
            yield engine


@needs_clips
async def test_the_text_so_far_is_written_by_the_small_model_where_it_knows_the_language(
    near: ThreadedSpeechToText,
) -> None:
    names = {}
    for language, partial in (("en", True), ("en", False), ("de", True), ("auto", True)):
        utterance = Utterance(command().pcm, language=language, partial=partial)
        names[language, partial] = (await written(near, utterance))[1].engine
    tiny, base = "whisper tiny.en int8", "whisper base int8"
    assert names == {("en", True): tiny, ("en", False): base, ("de", True): base, ("auto", True): base}


@needs_clips
async def test_both_models_understand_people_in_noise(near: ThreadedSpeechToText) -> None:
    for partial, most in ((False, 0.12), (True, 0.2)):
        texts = []
        for clip in (noisy(clip, 15) for clip in [*librivox(), command()]):
            utterance = Utterance(clip.pcm, language="en", partial=partial)
            texts.append((clip.text, (await written(near, utterance))[1].text))
        assert word_errors(texts) <= most, texts


@needs_clips
async def test_short_commands_are_no_loops(near: ThreadedSpeechToText) -> None:
    for clip in chain(cards(), (Clip(c.name, quietly(c.pcm), c.text) for c in cards())):
        assert len((await heard(near, clip)).split()) <= 2 * len(clip.text.split())


def quietly(pcm: bytes) -> bytes:
    """As by a microphone that is far away: short windows of such sound once said "10 10 10 10 10"."""
    return (np.frombuffer(pcm, "<i2") * 0.02).astype("<i2").tobytes()


@pytest.mark.parametrize("loudness", [30, 300, 3_000])
@pytest.mark.parametrize("seconds", [0.3, 2])
async def test_noise_is_no_text(near: ThreadedSpeechToText, loudness: int, seconds: float) -> None:
    noise = np.random.default_rng(3).normal(0.0, loudness, int(seconds * SECOND)).astype("<i2")
    for partial in (False, True):
        utterance = Utterance(noise.tobytes(), language="en", partial=partial)
        assert (await written(near, utterance))[1].text == ""


@needs_clips
async def test_words_lie_where_they_are_spoken(near: ThreadedSpeechToText) -> None:
    silence = bytes(2 * SECOND)  # one second
    _, transcript = await written(near, Utterance(silence + command().pcm, language="en", words=True))
    go, forward = transcript.words[:2]
    assert 1_400 <= go.start_ms < go.end_ms
    assert 1_500 <= forward.start_ms < 2_300


@needs_clips
@pytest.mark.parametrize("seconds", [2, 4])
async def test_silence_before_the_speech_does_not_make_an_echo(
    near: ThreadedSpeechToText, seconds: int
) -> None:
    for clip in (command(), cards()[0]):
        late = Clip(clip.name, bytes(2 * SECOND * seconds) + clip.pcm, clip.text)
        assert word_errors([(late.text, await heard(near, late))]) == 0


@needs_clips
async def test_a_prompt_says_how_names_are_written(near: ThreadedSpeechToText) -> None:
    clip = librivox()[0]
    prompt = "A novel about Mr. Jon Dashwoode and his sisters."
    _, transcript = await written(near, Utterance(clip.pcm, language="en", prompt=prompt))
    assert "Dashwood" in transcript.text
    assert word_errors([(clip.text, transcript.text)]) <= 0.15


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nothing")
    with pytest.raises(UnusableWeights, match="cannot load"):
        load(tmp_path, device="cpu", compute_type="int8", threads=1, workers=1)
