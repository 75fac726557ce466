"""Engines of the race answer by OpenAI's interface, as our own clients of it find them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from loadtests.peers.engine_services import chat_app, speech_app, transcription_app
from pipeline.engines.ports import LanguageModel, Transcript, Utterance
from pipeline.engines.registry import (
    build_chat_provider,
    build_speech_provider,
    build_speech_to_text,
    build_transcription_provider,
)
from pipeline.engines.scripted import ScriptedLanguageModel, ScriptedTextToSpeech
from pipeline.engines.tts.remote_voice import RemoteVoice
from rhapsode.testing.language_model_contract import LanguageModelContract
from rhapsode.testing.text_to_speech_contract import TextToSpeechContract
from schemas.settings import LanguageModelSettings, TextToSpeechSettings
from schemas.settings.listening_settings import SpeechToTextSettings, TranscriptionProviderSettings
from schemas.settings.provider_settings import ChatProviderSettings, SpeechProviderSettings
from tests.support.servers.web_server_thread import serving_somewhere


class TestChat(LanguageModelContract):
    @pytest.fixture
    async def model(self, tmp_path: Path) -> AsyncGenerator[LanguageModel, None]:
        script = tmp_path / "script.json"
        script.write_text('{"delta_chars": 8, "per_delta_ms": 1}')
        engine = ScriptedLanguageModel(LanguageModelSettings(script=script))
        with serving_somewhere(chat_app(engine), "the chat service") as url:
            model = build_chat_provider("box", ChatProviderSettings(url=url, model="race"))
            yield model
            await model.aclose()


class TestSpeech(TextToSpeechContract):
    @pytest.fixture
    async def voice(self) -> AsyncGenerator[RemoteVoice, None]:
        engine = ScriptedTextToSpeech(TextToSpeechSettings())
        with serving_somewhere(speech_app(engine), "the speech service") as url:
            given = SpeechProviderSettings(kind="openai", url=url, default_voice="joe", voices=("joe",))
            voice = build_speech_provider("box", given)
            yield voice
            await voice.aclose()


@pytest.mark.anyio
async def test_heard_speech_is_written_down(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"texts": ["Please tell me of the fox."]}')
    stt = build_speech_to_text(SpeechToTextSettings(engine="scripted", script=script), tmp_path)
    noise = (b"\x00\x10" + b"\x00\xf0") * 16_000
    with serving_somewhere(transcription_app(stt), "speech to text") as url:
        client = build_transcription_provider("box", TranscriptionProviderSettings(url=url, stream=False))
        async with aclosing(client.transcribe(Utterance(noise, "en"))) as items:
            *_, last = [item async for item in items]
        assert isinstance(last, Transcript)
        assert last.text == "Please tell me of the fox."
        await client.aclose()
    await stt.aclose()


def test_a_service_of_another_kind_is_refused() -> None:
    from loadtests.peers.engine_services import main
    from schemas.settings import AppSettings

    with pytest.raises(ValueError, match="no service 'soup'"):
        main("soup", 0, AppSettings())
