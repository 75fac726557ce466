"""Any server with OpenAI's `POST /v1/audio/speech`: OpenAI itself, Kokoro-FastAPI, vLLM, LocalAI ...

Asked is for `response_format: "pcm"`, which OpenAI documents as 24 kHz 16-bit mono and streams by itself.
Servers that answer with WAV, MP3 or server-sent events all the same are understood by their Content-Type.
A style becomes a sentence of `instructions`. Fields that only some servers know (`stream`, `stream_format`,
`lang_code`) go into `extra`, because OpenAI refuses fields that it does not know.
"""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.engines.ports import EngineResult
from pipeline.engines.tts.remote_voice import RemoteVoice
from schemas.settings.provider_settings import SpeechProviderSettings

_USUAL_MODEL: Final = "tts-1"
_STYLES: Final[Mapping[str, str]] = {
    "neutral": "Speak in a neutral, even tone.",
    "calm": "Speak calmly and softly, without haste.",
    "cheerful": "Speak in a cheerful, friendly tone, with a smile.",
    "serious": "Speak in a serious, firm tone.",
    "sad": "Speak in a sad, subdued tone.",
    "excited": "Speak with excitement and energy.",
    "whisper": "Whisper.",
}


def _manner(delivery: EngineResult) -> dict[str, Any]:
    style = _STYLES[delivery.style] if delivery.style else ""
    told = " ".join(filter(None, (style, delivery.instructions)))
    return {"instructions": told} if told else {}


def build(name: str, settings: SpeechProviderSettings) -> RemoteVoice:
    """The registry's factory; connects when it first speaks."""
    return RemoteVoice(name, settings, _request, manner=_manner)


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
