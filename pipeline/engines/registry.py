"""The engines by the names that settings use; each is imported only when it is built."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.engines.ports import (
    LanguageModel,
    LocalLanguageModel,
    LocalSpeechToText,
    LocalTextToSpeech,
    SpeechToText,
    TextEndDetector,
    TurnDetector,
)
from pipeline.engines.speech_environment import quality_engine
from pipeline.engines.stt.transcription_providers import SpeechToTextWithProviders
from schemas.settings import LanguageModelSettings, TextToSpeechSettings
from schemas.settings.listening_settings import (
    QualitySpeechToTextSettings,
    SpeechToTextSettings,
    TranscriptionProviderSettings,
)
from schemas.settings.provider_settings import ChatProviderSettings, SpeechProviderSettings

if TYPE_CHECKING:
    from pipeline.engines.tts.remote_voice import RemoteVoice

LANGUAGE_MODELS: Final[Mapping[str, str]] = {
    "llama": "pipeline.engines.llm.llama_cpp:build",
    "vllm": "pipeline.engines.llm.vllm.vllm_engine:build",
    "scripted": "pipeline.engines.scripted:build_language_model",
}
CHAT_PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "pipeline.engines.llm.openai_chat:OpenAiChat",
}
TEXT_TO_SPEECH: Final[Mapping[str, str]] = {
    "piper": "pipeline.engines.tts.piper:build",
    "coqui": "pipeline.engines.tts.coqui.coqui_engine:build",
    "kokoro": "pipeline.engines.sherpa.sherpa_speech:build",
    "pocket": "pipeline.engines.sherpa.sherpa_speech:build",
    "none": "pipeline.engines.tts.no_voice:build",
    "scripted": "pipeline.engines.scripted:build_text_to_speech",
}
SPEECH_TO_TEXT: Final[Mapping[str, str]] = {
    "whisper": "pipeline.engines.stt.whisper:build",
    "moonshine": "pipeline.engines.sherpa.moonshine:build",
    "scripted": "pipeline.engines.scripted_speech_to_text:build",
}
QUALITY_SPEECH_TO_TEXT: Final[Mapping[str, str]] = {
    "whisper": "pipeline.engines.stt.whisper_whole:build",
    "whisperx": "pipeline.engines.stt.whisperx.whisperx_engine:build",
    "scripted": "pipeline.engines.scripted_speech_to_text:build_quality",
}
TURN_DETECTORS: Final[Mapping[str, str]] = {
    "smart_turn": "pipeline.engines.stt.smart_turn:build",
}
TRANSCRIPTION_PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "pipeline.engines.stt.openai_transcription:OpenAiTranscription",
}
SPEECH_PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "pipeline.engines.tts.openai_speech:build",
    "chatterbox": "pipeline.engines.tts.chatterbox:build",
}


_OURS: Final[Mapping[str, Mapping[str, str]]] = {
    "language_model": LANGUAGE_MODELS,
    "text_to_speech": TEXT_TO_SPEECH,
    "speech_to_text": SPEECH_TO_TEXT,
    "quality_speech_to_text": QUALITY_SPEECH_TO_TEXT,
    "turn_detector": TURN_DETECTORS,
    "chat_provider": CHAT_PROVIDERS,
    "transcription_provider": TRANSCRIPTION_PROVIDERS,
    "speech_provider": SPEECH_PROVIDERS,
}


class UnknownEngine(ValueError):
    """The settings name an engine that does not exist. Raised at start-up, so it needs no code."""


def build_language_model(settings: LanguageModelSettings, cache: Path) -> LocalLanguageModel:
    """Load the language model that `settings` name; takes about a second, and more on its first run.

    vLLM only loads in its own environment: see `vllm_python`.
    """
    model: LocalLanguageModel = _factory("language_model", settings.engine)(settings, cache)
    return model


def build_text_to_speech(settings: TextToSpeechSettings, cache: Path) -> LocalTextToSpeech:
    """Load the voice that `settings` name; takes about a second, and more on its first run."""
    voice: LocalTextToSpeech = _factory("text_to_speech", settings.engine)(settings, cache)
    return voice


def build_speech_to_text(settings: SpeechToTextSettings, cache: Path) -> LocalSpeechToText:
    """Load speech to text of the mode `realtime`; providers are connected when they are first asked."""
    engine: LocalSpeechToText = _factory("speech_to_text", settings.engine)(settings, cache)
    providers = {name: build_transcription_provider(name, one) for name, one in settings.providers.items()}
    return SpeechToTextWithProviders(engine, providers)


def build_quality_speech_to_text(settings: QualitySpeechToTextSettings, cache: Path) -> LocalSpeechToText:
    """Load speech to text of the mode `quality`. WhisperX needs its own environment: `whisperx_python`."""
    name = quality_engine(settings)
    engine: LocalSpeechToText = _factory("quality_speech_to_text", name)(settings, cache)
    return SpeechToTextWithProviders(engine, {})


def build_turn_detector(settings: SpeechToTextSettings, cache: Path) -> TurnDetector | None:
    """The detector of the end of a turn; it loads its model when it is first asked. None: `none` is set."""
    name = settings.hears_turns_by
    if name == "none":
        return None
    detector: TurnDetector = _factory("turn_detector", name)(settings, cache)
    return detector


def build_text_end_detector(settings: SpeechToTextSettings, cache: Path) -> TextEndDetector | None:
    """The detector of a text's end, which loads its model when first asked. None: `none` is set."""
    if settings.reads_turns_by == "none":
        return None
    detector: TextEndDetector = import_module("pipeline.engines.llm.text_end").TextEnd(cache)
    return detector


def build_chat_provider(name: str, settings: ChatProviderSettings) -> LanguageModel:
    """The client of a server elsewhere that answers; connects when it is first asked."""
    model: LanguageModel = _factory("chat_provider", "openai")(name, settings)
    return model


def build_transcription_provider(name: str, settings: TranscriptionProviderSettings) -> SpeechToText:
    """The client of a transcription server elsewhere; connects when it is first asked."""
    engine: SpeechToText = _factory("transcription_provider", "openai")(name, settings)
    return engine


def build_speech_provider(name: str, settings: SpeechProviderSettings) -> "RemoteVoice":
    """The client of a speech server elsewhere; connects when it first speaks."""
    voice: RemoteVoice = _factory("speech_provider", settings.kind)(name, settings)
    return voice


def known(port: str) -> tuple[str, ...]:
    """Names of the engines of a port, a branch of the settings: ours, and those of installed packages."""
    return (*_OURS[port], *sorted(_plugins(port)))


def _factory(port: str, name: str) -> Any:
    """The function `build(settings, cache)` of an engine. Raises UnknownEngine."""
    if name in _OURS[port]:
        module, function = _OURS[port][name].split(":")
        return getattr(import_module(module), function)
    if (plugin := _plugins(port).get(name)) is not None:
        return plugin.load()
    kind = port.replace("_", " ")
    raise UnknownEngine(f"There is no {kind} engine {name!r}; there are: {', '.join(sorted(known(port)))}.")


def _plugins(port: str) -> dict[str, EntryPoint]:
    """Engines of other packages: entry points such as "text_to_speech.NAME" in the group rhapsode.engines."""
    found = entry_points(group="rhapsode.engines")
    return {one.name.partition(".")[2]: one for one in found if one.name.partition(".")[0] == port}
