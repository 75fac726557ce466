"""Every engine keeps the same contracts."""

import json
from pathlib import Path

import pytest

from pipeline.engines.llm.llama_cpp import LlamaLanguageModel
from pipeline.engines.llm.openai_chat import OpenAiChat
from pipeline.engines.ports import TextToSpeech
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.engines.scripted import ScriptedLanguageModel, ScriptedTextToSpeech
from pipeline.engines.tts.piper import PiperTextToSpeech
from rhapsode.testing.language_model_contract import LanguageModelContract
from rhapsode.testing.text_to_speech_contract import TimedTextToSpeechContract
from schemas.settings import LanguageModelSettings, TextToSpeechSettings
from tests.contracts.speaker import SpeakerContract


class TestScriptedLanguageModel(LanguageModelContract):
    @pytest.fixture
    def model(self, tmp_path: Path) -> ScriptedLanguageModel:
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"delta_chars": 8, "per_delta_ms": 1}))
        return ScriptedLanguageModel(LanguageModelSettings(script=script))


@pytest.mark.weights
class TestLlama(LanguageModelContract):
    @pytest.fixture
    def model(self, llama: LlamaLanguageModel) -> LlamaLanguageModel:
        return llama


@pytest.mark.weights
class TestLlamaByHttp(LanguageModelContract):
    """A real server with OpenAI's interface."""

    @pytest.fixture
    def model(self, llama_by_http: OpenAiChat) -> OpenAiChat:
        return llama_by_http


class TestScriptedTextToSpeech(TimedTextToSpeechContract):
    @pytest.fixture
    def voice(self) -> ScriptedTextToSpeech:
        return ScriptedTextToSpeech(TextToSpeechSettings())


@pytest.mark.weights
class TestPiper(TimedTextToSpeechContract):
    @pytest.fixture
    def voice(self, piper: PiperTextToSpeech) -> PiperTextToSpeech:
        return piper


class TestEncodedScript(SpeakerContract):
    @pytest.fixture
    def speaker(self) -> EncodingSpeaker:
        voice: TextToSpeech = ScriptedTextToSpeech(TextToSpeechSettings())
        return EncodingSpeaker(voice, TextToSpeechSettings())


@pytest.mark.weights
class TestEncodedPiper(SpeakerContract):
    @pytest.fixture
    def speaker(self, piper: PiperTextToSpeech) -> EncodingSpeaker:
        return EncodingSpeaker(piper, TextToSpeechSettings())
