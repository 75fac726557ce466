"""The real models, loaded once for all tests."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.llama import LlamaLanguageModel, load
from pipeline.engines.piper import PiperTextToSpeech
from pipeline.engines.piper_voice import Voice
from pipeline.engines.weights import language_model_file, voice_files
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings

LLAMA = LanguageModelSettings(slots=2, context_tokens=512)


@pytest.fixture(scope="session")
def cache() -> Path:
    """The machine's own cache: weights are prepared once, for the tests and for the product alike."""
    return AppSettings().cache.expanduser()


@pytest.fixture(scope="session")
def joe(cache: Path) -> Voice:
    return Voice(voice_files(TextToSpeechSettings(), cache))


@pytest.fixture
async def piper(joe: Voice) -> AsyncGenerator[PiperTextToSpeech, None]:
    voice = PiperTextToSpeech("joe", joe, TextToSpeechSettings(streams=2))
    yield voice
    await voice.aclose()


@pytest.fixture(scope="session")
def llama_server(cache: Path) -> Any:
    return load(language_model_file(LLAMA, cache), LLAMA)


@pytest.fixture
async def llama(llama_server: Any) -> AsyncGenerator[LlamaLanguageModel, None]:
    model = LlamaLanguageModel(llama_server, LLAMA)
    yield model
    await model.aclose()
