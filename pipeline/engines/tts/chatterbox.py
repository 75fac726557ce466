"""Chatterbox over HTTP, by the streaming interfaces of its two servers; `api` in the settings says which.

`speech`: travisvn/chatterbox-tts-api. `POST /v1/audio/speech` with `stream_format: "sse"` answers with
`speech.audio.info` (the rate), `speech.audio.delta` (base64 PCM) and `speech.audio.done`, so that an answer
which was cut is told from one that ended. It speaks at its own speed, which is changed here.
`extra` takes exaggeration, cfg_weight, temperature, streaming_chunk_size, streaming_strategy,
streaming_buffer_size and streaming_quality.

`tts`: devnen/Chatterbox-TTS-Server. `POST /tts` with `stream: true` answers with a WAV file that grows chunk
by chunk; voices are file names ("Emily.wav"). `extra` takes temperature, exaggeration, cfg_weight, seed,
language, split_text and chunk_size, and for a cloned voice `voice_mode: "clone"` with
`reference_audio_filename`.

Both name their voices at `/v1/audio/voices`.
"""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.engines.ports import EngineResult
from pipeline.engines.tts.remote_voice import RemoteVoice
from schemas.settings.provider_settings import SpeechProviderSettings

_EXAGGERATION: Final[Mapping[str, float]] = {
    "neutral": 0.5,
    "calm": 0.3,
    "serious": 0.35,
    "cheerful": 0.7,
    "excited": 0.9,
}
"""Chatterbox has one control of expression, 0.5 by itself; it cannot whisper or sound sad."""


def build(name: str, settings: SpeechProviderSettings) -> RemoteVoice:
    """The registry's factory; connects when it first speaks."""
    if settings.api == "tts":
        return RemoteVoice(name, settings, _tts, manner=_manner)
    return RemoteVoice(name, settings, _speech, manner=_manner, own_speed=True)


def _manner(delivery: EngineResult) -> dict[str, Any]:
    exaggeration = _EXAGGERATION.get(delivery.style or "")
    return {} if exaggeration is None else {"exaggeration": exaggeration}


def _speech(
    settings: SpeechProviderSettings, text: str, voice: str, speed: float
) -> tuple[str, dict[str, Any]]:
    model = {} if settings.model is None else {"model": settings.model}
    return "/v1/audio/speech", {
        **model,
        "input": text,
        "voice": voice,
        "speed": speed,
        "response_format": "wav",
        "stream_format": "sse",
    }


def _tts(settings: SpeechProviderSettings, text: str, voice: str, speed: float) -> tuple[str, dict[str, Any]]:
    return "/tts", {
        "text": text,
        "voice_mode": "predefined",
        "predefined_voice_id": voice,
        "output_format": "wav",
        "stream": True,
        "speed_factor": speed,
    }
