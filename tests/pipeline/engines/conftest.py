"""The real models, loaded once for all tests."""

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.http import http_provider
from pipeline.engines.llm.llama_cpp import LlamaLanguageModel, load
from pipeline.engines.llm.openai_chat import OpenAiChat
from pipeline.engines.model_files import language_model_file, voice_files
from pipeline.engines.stt.openai_transcription import OpenAiTranscription
from pipeline.engines.tts.piper import PiperTextToSpeech
from pipeline.engines.tts.piper_voice import Voice
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings
from schemas.settings.provider_settings import ChatProviderSettings
from tests.pipeline.engines.stt.known_transcripts import SAID
from tests.support.servers.transcription_server import FakeTranscriptionServer, fake_transcription_server

LLAMA = LanguageModelSettings(slots=2, context_tokens=512)
LLAMA_KEY = "the-key-of-llama.cpp's-own-server"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The machine's own cache: weights are prepared once, for the tests and for the product alike."""
    return AppSettings().cache.expanduser()


@pytest.fixture(scope="session")
def joe(cache: Path) -> Voice:
    return Voice(*voice_files(TextToSpeechSettings(), cache))


@pytest.fixture(scope="session")
def joe_alone(joe: Voice, cache: Path) -> Callable[..., PiperTextToSpeech]:
    """Makes an engine of the voice that is loaded already; it takes the fields of its settings."""

    def make(**fields: Any) -> PiperTextToSpeech:
        settings = TextToSpeechSettings.model_validate(fields)
        return PiperTextToSpeech(voice_files(settings, cache), lambda _: joe, settings)

    return make


@pytest.fixture
async def piper(joe_alone: Callable[..., PiperTextToSpeech]) -> AsyncGenerator[PiperTextToSpeech, None]:
    voice = joe_alone(streams=2)
    yield voice
    await voice.aclose()


@pytest.fixture(scope="session")
def llama_server(cache: Path) -> Any:
    return load(language_model_file(LLAMA, cache), LLAMA, key=LLAMA_KEY)


@pytest.fixture
async def llama(llama_server: Any) -> AsyncGenerator[LlamaLanguageModel, None]:
    model = LlamaLanguageModel(llama_server, LLAMA)
    yield model
    await model.aclose()


@pytest.fixture
async def llama_by_http(
    llama: LlamaLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[OpenAiChat, None]:
    """llama.cpp's own server, as a provider elsewhere.

    It closes connections that were idle for 5 s, also at the moment in which one is used again; a router asks
    again then, and none is here: so each request has a connection of its own.
    """
    monkeypatch.setattr(http_provider, "_KEPT_S", 0.0)
    settings = ChatProviderSettings.model_validate(
        {"url": llama.address, "api_key": LLAMA_KEY, "model": "SmolLM2"}
    )
    model = OpenAiChat("llama", settings)
    yield model
    await model.aclose()


@pytest.fixture(scope="session")
def running_transcribers() -> Iterator[FakeTranscriptionServer]:
    with fake_transcription_server() as remote:
        yield remote


@pytest.fixture
def there(running_transcribers: FakeTranscriptionServer) -> FakeTranscriptionServer:
    running_transcribers.forget()
    running_transcribers.texts = dict(SAID)
    return running_transcribers


@pytest.fixture
async def cloud(there: FakeTranscriptionServer) -> AsyncGenerator[OpenAiTranscription, None]:
    engine = OpenAiTranscription("cloud", there.settings())
    yield engine
    await engine.aclose()
