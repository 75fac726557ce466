"""The engines in this process, and an aligner that knows nothing but is a real model."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

from pipeline.engines.stt.whisperx.whisperx_engine import WhisperX, build
from pipeline.engines.tts.coqui import coqui_engine
from pipeline.engines.tts.coqui.coqui_engine import CoquiTextToSpeech
from pipeline.engines.tts.coqui.coqui_vits import VitsVoice
from schemas.settings import TextToSpeechSettings
from schemas.settings.listening_settings import QualitySpeechToTextSettings

COQUI = TextToSpeechSettings(engine="coqui", device="cpu", streams=2, batch=4)
SETTINGS = QualitySpeechToTextSettings(engine="whisperx", batch=4, beam=1)


@pytest.fixture(scope="session")
def cache() -> Path:
    """The usual one: what it holds is checked before use, and made there by the first who needs it."""
    return Path("~/.cache/rhapsode").expanduser()


@pytest.fixture(scope="session")
def whisperx(cache: Path) -> WhisperX:
    return build(SETTINGS, cache)


@pytest.fixture
def short_lived(whisperx: WhisperX) -> WhisperX:
    """The same model behind an engine of its own, which may be closed and broken."""
    return WhisperX(whisperx._model, SETTINGS)


@pytest.fixture(scope="session")
def joe(cache: Path) -> VitsVoice:
    """The packaged voice, converted from Piper's weights by the first who needs it."""
    loaded = coqui_engine.build(COQUI, cache)
    assert isinstance(loaded, CoquiTextToSpeech)
    return loaded._voice


@pytest.fixture(scope="session")
def untrained_aligner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has them, with a wav2vec2 that was never trained."""
    folder: Path = tmp_path_factory.mktemp("aligner")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({letter: at for at, letter in enumerate(letters)}), encoding="utf-8")
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, conv_dim=(8,) * 7, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), Wav2Vec2CTCTokenizer(str(vocabulary))).save_pretrained(
        folder
    )
    return folder
