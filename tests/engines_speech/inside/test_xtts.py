"""XTTS by its real code, with a network that was never trained: what it says is noise."""

import wave
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts

from pipeline.engines.tts.coqui.coqui_engine import build
from pipeline.engines.tts.coqui.coqui_xtts import XttsTextToSpeech
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineDead, UnknownVoice
from schemas.settings import TextToSpeechSettings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]
SAID = "Foxes ran."


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TextToSpeechSettings:
    """A folder as people have them: 390 MB, as the widths of the network are fixed."""
    folder: Path = tmp_path_factory.mktemp("xtts")
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]"]
    letters = {token: at for at, token in enumerate([*marks, *"abcdefghijklmnopqrstuvwxyz."])}
    tokenizer = Tokenizer(BPE(vocab=letters, merges=[], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "vocab.json"))
    torch.manual_seed(0)
    config = XttsConfig(model_args=XttsArgs(gpt_layers=1))
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    model.gpt.init_gpt_for_inference()
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))
    with wave.open(str(folder / "anna.wav"), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(16_000)
        noise = np.random.default_rng(0).normal(0, 3_000, 3 * 16_000)
        recording.writeframes(noise.astype("<i2").tobytes())
    return TextToSpeechSettings(
        engine="coqui", device="cpu", model_path=folder, speaker_wav=folder / "anna.wav"
    )


@pytest.fixture(scope="module")
def loaded(settings: TextToSpeechSettings, tmp_path_factory: pytest.TempPathFactory) -> XttsTextToSpeech:
    voice = build(settings, tmp_path_factory.mktemp("cache"))
    assert isinstance(voice, XttsTextToSpeech)
    return voice


@pytest.fixture
async def voice(
    loaded: XttsTextToSpeech, settings: TextToSpeechSettings
) -> AsyncGenerator[XttsTextToSpeech, None]:
    engine = XttsTextToSpeech(loaded._voice, settings)
    yield engine
    await engine.aclose()


async def test_sound_comes_while_it_is_made_and_ends_when_nobody_listens(
    voice: XttsTextToSpeech,
) -> None:
    assert voice.voices == ("anna",)
    for _ in range(2):  # the second text finds the network as the first one did
        async with aclosing(voice.synthesize(SAID, voice="anna")) as stream:
            first = await anext(stream)
            assert isinstance(first, bytes)
            assert 0.3 < len(first) / 2 / voice.sample_rate < 3
        assert voice.open_streams == 0


async def test_a_voice_that_is_not_there_cannot_speak(voice: XttsTextToSpeech) -> None:
    with pytest.raises(UnknownVoice, match="anna"):
        await anext(voice.synthesize(SAID, voice="joe"))
    assert [item async for item in voice.synthesize("?!", voice="anna")] == []
    await voice.aclose()
    with pytest.raises(EngineDead):
        await anext(voice.synthesize(SAID, voice="anna"))


def test_latents_can_be_kept_and_a_voice_is_needed(
    loaded: XttsTextToSpeech, settings: TextToSpeechSettings, tmp_path: Path
) -> None:
    latents, embedding = loaded._voice._speakers["anna"]
    kept = {"gpt_conditioning_latents": latents, "speaker_embedding": embedding}
    torch.save(kept, tmp_path / "bert.pth")
    torch.save([1], tmp_path / "nobody.pth")
    known = loaded._voice._known_speakers(tmp_path / "bert.pth")
    assert torch.equal(known["bert"][0], latents)
    with pytest.raises(UnusableWeights, match="holds no voice"):
        loaded._voice._known_speakers(tmp_path / "nobody.pth")
    assert loaded._voice._known_speakers(None) == {}
