"""Any server with OpenAI's `POST /v1/audio/speech`: OpenAI itself, Kokoro-FastAPI, vLLM, LocalAI ...

Asked is for `response_format: "pcm"`, which OpenAI documents as 24 kHz 16-bit mono and streams by itself.
Servers that answer with WAV, MP3 or server-sent events all the same are understood by their Content-Type.
Fields that only some servers know (`stream`, `stream_format`, `instructions`, `lang_code`) go into `extra`,
because OpenAI refuses fields that it does not know.
"""

from typing import Any, Final

from pipeline.engines.tts.remote_voice import RemoteVoice
from schemas.settings.provider_settings import SpeechProviderSettings

_USUAL_MODEL: Final = "tts-1"


def build(name: str, settings: SpeechProviderSettings) -> RemoteVoice:
    """The registry's factory; connects when it first speaks."""
    return RemoteVoice(name, settings, _request)


def _request(
    settings: SpeechProviderSettings, text: str, voice: str, speed: float
) -> tuple[str, dict[str, Any]]:
    return "/v1/audio/speech", {
        "model": settings.model or _USUAL_MODEL,
        "input": text,
        "voice": voice,
        "speed": speed,
        "response_format": "pcm",
    }
