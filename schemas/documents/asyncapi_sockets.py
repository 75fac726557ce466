"""The sockets beside the native one, for the AsyncAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from schemas.apps.assistant_messages import ASSISTANT_MESSAGES, AssistantCommand
from schemas.apps.story_messages import SocketCommand

COMMANDS: Final[tuple[type[BaseModel], ...]] = (AssistantCommand, SocketCommand)
_NAMES: Final = {AssistantCommand: "voice.command", SocketCommand: "socket.command"}
Models = Iterable[type[BaseModel]]
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


def type_of(model: type[BaseModel]) -> str:
    """The string that names an event or frame on the wire."""
    return str(model.model_fields["type"].default)


def message_name(model: type[BaseModel]) -> str:
    """Returns a message's name in the document: the sockets use the same words for different things."""
    known = _NAMES.get(model) or type_of(model)
    return f"voice.{known}" if model in ASSISTANT_MESSAGES else known


def operation(action: str, channel: str, models: Models) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": listed(channel, models),
    }


def listed(channel: str, models: Models) -> list[dict[str, str]]:
    return list(refs(models, f"#/channels/{channel}/messages").values())


def refs(models: Models, place: str = "#/components/messages") -> dict[str, dict[str, str]]:
    return {message_name(model): {"$ref": f"{place}/{message_name(model)}"} for model in models}


def channels() -> dict[str, Any]:
    voice = {
        "address": "/ws/voice",
        "description": "WebSocket of the voice assistant; see voice.md."
        " Sound comes in as binary frames or in base64.",
        "messages": refs([*ASSISTANT_MESSAGES, AssistantCommand]),
        "bindings": query_binding(_VOICE),
    }
    realtime = {
        "address": "/v1/realtime",
        "description": "WebSocket of OpenAI's Realtime API, whose events it speaks; see realtime.md.",
        "bindings": query_binding(_REALTIME),
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
            "messages": refs([SocketCommand]),
        }
        for name, (address, parameter, sends) in _OLDER.items()
    }


def query_binding(properties: Mapping[str, Any]) -> dict[str, Any]:
    query = {"type": "object", "properties": dict(properties)}
    return {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}}


def operations() -> dict[str, Any]:
    older = {
        f"take{name[0].upper()}{name[1:]}Commands": operation("receive", name, [SocketCommand])
        for name in _OLDER
    }
    return {
        "tellByVoice": operation("send", "voice", ASSISTANT_MESSAGES),
        "takeVoice": operation("receive", "voice", [AssistantCommand]),
        **older,
    }
