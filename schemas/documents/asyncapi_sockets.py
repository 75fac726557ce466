"""The sockets beside the native one, for the AsyncAPI document."""

from typing import Any, Final

from pydantic import BaseModel

from schemas.apps.assistant_messages import ASSISTANT_MESSAGES, AssistantCommand
from schemas.apps.story_messages import SocketCommand

COMMANDS: Final[tuple[type[BaseModel], ...]] = (AssistantCommand, SocketCommand)
_NAMES: Final = {AssistantCommand: "voice.command", SocketCommand: "socket.command"}
_VOICE: Final = {
    "session_id": {"type": "string", "description": "A conversation that goes on; else a new one begins."},
    "mode": {
        "type": "string",
        "enum": ["realtime", "quality", "legacy"],
        "description": "Changes the session's setting; without it, a new session is realtime.",
    },
    "format": {"type": "string", "enum": ["pcm16", "opus", "mulaw", "alaw"], "default": "pcm16"},
    "rate": {
        "type": "string",
        "enum": ["8000", "16000", "24000", "48000"],
        "description": "16000 for pcm16, 8000 for mulaw and alaw, unless it is said; opus is always 48000.",
    },
    "after": {
        "type": "string",
        "description": "The last turn whose `done` the client has: what came after it is told first.",
    },
}
_REALTIME: Final = {
    "model": {"type": "string", "description": "Any name; it is shown in the session."},
    "session_id": {"type": "string", "description": "Go on with this session, as session.created named it."},
    "starting_after": {
        "type": "string",
        "description": "With session_id: the sequence_number of the last event that the client has.",
    },
}
_OLDER: Final = {
    "sceneGeneration": (
        "/ws/scene-generation/{session_id}",
        "session_id",
        "connected, then generation_started, text_chunk, audio_chunk, generation_complete or error.",
    ),
    "narration": (
        "/ws/tts/{session_id}",
        "session_id",
        "connected, then chunk_ready for each chunk, complete or error.",
    ),
    "notifications": ("/ws/{user_id}", "user_id", "connected, then a message for each notification."),
}


def message_name(model: type[BaseModel]) -> str:
    """Returns a message's name in the document: the sockets use the same words for different things."""
    return _NAMES.get(model) or f"voice.{model.model_fields['type'].default}"


def messages() -> tuple[type[BaseModel], ...]:
    return ASSISTANT_MESSAGES


def channels() -> dict[str, Any]:
    voice = {
        "address": "/ws/voice",
        "description": "WebSocket of the voice assistant; see voice.md."
        " Sound comes in as binary frames or in base64.",
        "messages": _refs([*ASSISTANT_MESSAGES, AssistantCommand]),
        "bindings": _query(_VOICE),
    }
    realtime = {
        "address": "/v1/realtime",
        "description": "WebSocket of OpenAI's Realtime API, whose events it speaks; see realtime.md.",
        "bindings": _query(_REALTIME),
    }
    telephone = {
        "address": "/v1/telephone/{provider}/stream",
        "description": "Media stream of a telephone call, as Twilio or Telnyx sends it; see telephone.md.",
        "parameters": {"provider": {"enum": ["twilio", "telnyx"], "description": "The provider."}},
    }
    return {"voice": voice, "realtime": realtime, "telephone": telephone} | {
        name: {
            "address": address,
            "description": f"WebSocket; see stories.md. The server sends {sends}",
            "parameters": {parameter: {"description": "As the answer that named this socket says."}},
            "messages": _refs([SocketCommand]),
        }
        for name, (address, parameter, sends) in _OLDER.items()
    }


def _query(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "ws": {
            "method": "GET",
            "query": {"type": "object", "properties": dict(properties)},
            "bindingVersion": "0.1.0",
        }
    }


def operations() -> dict[str, Any]:
    older = {
        f"take{name[0].upper()}{name[1:]}Commands": _operation("receive", name, [SocketCommand])
        for name in _OLDER
    }
    return {
        "tellByVoice": _operation("send", "voice", ASSISTANT_MESSAGES),
        "takeVoice": _operation("receive", "voice", [AssistantCommand]),
        **older,
    }


def _operation(
    action: str, channel: str, models: tuple[type[BaseModel], ...] | list[type[BaseModel]]
) -> dict[str, Any]:
    place = f"#/channels/{channel}/messages"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"{place}/{message_name(model)}"} for model in models],
    }


def _refs(models: list[type[BaseModel]]) -> dict[str, Any]:
    return {message_name(m): {"$ref": f"#/components/messages/{message_name(m)}"} for m in models}
