"""The configuration that Realtime clients see and change, and what it means for the session's settings."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import ValidationError

from deployments.model_names import Names
from pipeline.session_state.conversation import Conversation
from schemas.errors import UnknownVoice
from schemas.errors.realtime_errors import RealtimeInvalid, of_validation
from schemas.ids import SessionId
from schemas.native.client_commands import SettingsPatch
from schemas.realtime.realtime_session import ResponseWish, SessionPatch, TranscriptionPatch
from schemas.settings import SessionSettings
from schemas.settings.listening_settings import ListeningSettings

Config = dict[str, Any]
PCM: Final = {"type": "audio/pcm", "rate": 24_000}
_DETECTION: Final = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
    "idle_timeout_ms": None,
}
_INPUT: Final = {
    "format": PCM,
    "noise_reduction": None,
    "transcription": None,
    "turn_detection": _DETECTION,
}
_EAGERNESS: Final = {
    "low": (800, 1_600, 8_000),
    "medium": (500, 1_000, 4_000),
    "auto": (500, 1_000, 4_000),
    "high": (300, 600, 2_000),
}
"""The wait as usual, where the sound is unfinished, and where the text breaks off, in ms of silence."""
_BY_WORDS_MS: Final = 600
"""Milliseconds of speech over an answer from which on its words decide, as `listening.interrupt_ms` does."""
_KEPT_WHOLE: Final = frozenset({"format", "turn_detection", "transcription", "noise_reduction", "voice"})
"""Within `audio` these are replaced, not merged."""


def initial(settings: SessionSettings, *, model: str) -> Config:
    """Of a session that nobody has configured."""
    return {
        "type": "realtime",
        "model": model,
        "instructions": settings.system_prompt,
        "output_modalities": ["audio" if settings.speak else "text"],
        "audio": {
            "input": deepcopy(_INPUT),
            "output": {"format": dict(PCM), "voice": settings.voice, "speed": settings.speech_speed},
        },
        "max_output_tokens": "inf",
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
    }


def updated(config: Config, patch: SessionPatch | TranscriptionPatch) -> Config:
    """With the fields that were given. Raises RealtimeInvalid."""
    if patch.type != config["type"] and "type" in patch.model_fields_set:
        if patch.type == "realtime":
            raise RealtimeInvalid("A transcription session stays one.", field="session.type")
        audio = {"input": config["audio"]["input"] | {"turn_detection": dict(_DETECTION)}}
        config = {"type": "transcription", "audio": audio, "include": None}
    if config["type"] == "transcription" and patch.type == "realtime":
        only = SessionPatch.model_fields.keys() - {"type", "audio", "include"}
        if beyond := sorted(only & patch.model_fields_set):
            raise RealtimeInvalid(
                "A transcription session has audio.input only.", field=f"session.{beyond[0]}"
            )
    given = patch.model_dump(mode="json", exclude_unset=True, exclude={"type"})
    audio = given.pop("audio", None) or {}
    merged = deepcopy(config) | {name: value for name, value in given.items() if _means(name, value)}
    for side in ("input", "output"):
        if audio.get(side) is not None and side in merged["audio"]:
            merged["audio"][side] |= _side(patch, side, audio[side])
    return merged


def _means(name: str, value: Any) -> bool:
    """Null takes away what may be absent, and says nothing of what must be there."""
    return value is not None or name in ("tracing", "reasoning", "include", "prompt")


def _side(patch: SessionPatch | TranscriptionPatch, side: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that are set; a field that is replaced whole has its defaults."""
    model = getattr(patch.audio, side)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None and name in ("format", "voice", "speed"):
            continue
        whole = getattr(model, name)
        known = name in _KEPT_WHOLE and hasattr(whole, "model_dump")
        found[name] = whole.model_dump(mode="json") if known else value
    return found


def for_response(config: Config, params: ResponseWish) -> Config:
    """Settings of one response."""
    given = params.model_dump(
        mode="json",
        exclude_unset=True,
        include={
            "output_modalities",
            "max_output_tokens",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
        },
    )
    merged = deepcopy(config) | {name: value for name, value in given.items() if value is not None}
    if params.audio is not None and params.audio.output is not None:
        output = params.audio.output.model_dump(mode="json", exclude_none=True)
        merged["audio"]["output"] |= output
    return merged


def config_of(conversation: Conversation, *, model: str) -> Config:
    """As it stands; a session that another face made has the usual one."""
    return conversation.items.config or initial(conversation.settings, model=model)


def shown(session: SessionId, config: Config) -> Config:
    """The session object."""
    named = {"object": f"realtime.{_OBJECTS[config['type']]}", "id": f"sess_{session}", "expires_at": None}
    return {"type": config["type"], **named, **config}


_OBJECTS: Final = {"realtime": "session", "transcription": "transcription_session"}


# ---------------------------------------------------------------- what it means here


def checked(config: Config, names: Names, *, answers: bool = False) -> SettingsPatch:
    """The settings that it means; `answers`: only those of answering. Raises RealtimeInvalid."""
    try:
        if answers:
            return SettingsPatch.model_validate(answering(config, names))
        return settings_of(config, names)
    except ValidationError as error:
        raise of_validation(error.errors(include_context=False, include_input=False)) from error


def settings_of(config: Config, names: Names) -> SettingsPatch:
    """The settings that the configuration asks for. Raises RealtimeInvalid, or pydantic's complaint."""
    listening = _listening(config["audio"]["input"], transcribes=config["type"] == "transcription")
    requested: dict[str, Any] = {"listening": listening}
    if config["type"] == "realtime":
        requested |= answering(config, names)
    return SettingsPatch.model_validate(requested)


def answering(config: Config, names: Names) -> dict[str, Any]:
    """How it is answered."""
    output = config["audio"]["output"]
    tokens = config["max_output_tokens"]
    return {
        "system_prompt": config["instructions"],
        "speak": config["output_modalities"] == ["audio"],
        "voice": _voice(output["voice"], names),
        "speech_speed": float(output["speed"]),
        "max_tokens": names.choices.defaults.max_tokens if tokens == "inf" else tokens,
        "tools": {
            "functions": [_offer(tool) for tool in config["tools"]],
            "choice": _choice(config["tool_choice"]),
            "parallel": config["parallel_tool_calls"],
        },
    }


def _voice(requested: str | Mapping[str, str], names: Names) -> str:
    name = requested if isinstance(requested, str) else requested["id"]
    try:
        return names.voice(name, names.choices.defaults.tts_provider)
    except UnknownVoice as error:
        raise RealtimeInvalid(str(error), field="session.audio.output.voice") from error


def _offer(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": tool["name"],
        "description": tool.get("description") or "",
        "parameters": tool.get("parameters") or {},
    }


def _choice(requested: str | Mapping[str, str]) -> str:
    return requested if isinstance(requested, str) else f"function:{requested['name']}"


def _listening(heard: Mapping[str, Any], *, transcribes: bool) -> dict[str, Any]:
    detection = heard["turn_detection"]
    language = (heard["transcription"] or {}).get("language")
    listening: dict[str, Any] = {
        "turn_detection": "manual" if detection is None else "vad",
        "reply": detection is not None and detection["create_response"] and not transcribes,
        "barge_in": detection is not None and detection["interrupt_response"] and not transcribes,
        "language": language.partition("-")[0] if language else None,
        "hold_ms": 100,
        "interrupt_ms": 100,
        "distant_db": None,  # clients are told of all speech, and silence themselves
    }
    if detection is not None:
        listening["endpointing"] = _endpointing(detection)
        if detection["type"] == "semantic_vad":
            # By its words: clients are told of speech over an answer when it interrupts (InputBufferEvents).
            listening |= {"interrupt_ms": _BY_WORDS_MS, "distant_db": ListeningSettings().distant_db}
    return listening


def _endpointing(detection: Mapping[str, Any]) -> dict[str, Any]:
    if detection["type"] == "server_vad":
        return {
            "threshold": float(detection["threshold"]),
            "silence_ms": detection["silence_duration_ms"],
            "prefix_padding_ms": detection["prefix_padding_ms"],
            "hint": False,
        }
    silence_ms, doubtful_ms, longest_ms = _EAGERNESS[detection["eagerness"]]
    return {
        "threshold": 0.5,
        "silence_ms": silence_ms,
        "prefix_padding_ms": 300,
        "hint": True,
        "complete_ms": 300,
        "doubtful_ms": doubtful_ms,
        "incomplete_ms": longest_ms,
    }
