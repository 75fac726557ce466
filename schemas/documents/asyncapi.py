"""The event side of the native protocol as an AsyncAPI 3.0 document, made from the models."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.apps.assistant_messages import ASSISTANT_MESSAGES
from schemas.documents import asyncapi_sockets as sockets
from schemas.documents.asyncapi_sockets import Models, type_of
from schemas.events.upcasting import EVENT_MODELS
from schemas.native import native_messages

_REF: Final = "#/components/schemas/{model}"
_COMMANDS: Final = (
    native_messages.ClientTurnRequest,
    native_messages.ClientControl,
    native_messages.ClientPing,
    native_messages.ClientInputOpen,
    native_messages.ClientInputCommit,
    native_messages.ClientInputClear,
    native_messages.ClientInputClose,
    native_messages.ClientPlayback,
)
_ANSWERS: Final = (
    native_messages.Accepted,
    native_messages.Pong,
    native_messages.InputReady,
    native_messages.InputAck,
)
_FRAMES: Final = (
    native_messages.Hello,
    native_messages.Heartbeat,
    native_messages.Reconnect,
    native_messages.ErrorFrame,
    native_messages.End,
)
_LISTENING: Final[Mapping[str, Any]] = {
    "from": {
        "description": 'A cursor, a sequence number or "head": send what comes after it.',
        "type": "string",
        "default": "0",
    },
    "speed": {"description": "live, or a multiple of the recorded pace; 0: at once.", "type": "string"},
    "audio": {"type": "string", "enum": ["none", "opus", "pcm16", "mp3", "wav"], "default": "none"},
    "follow": {"description": "false: end at the head as it was on connecting.", "type": "boolean"},
    "turn": {"description": "End after this turn's terminal event.", "type": "integer"},
}


def document() -> dict[str, Any]:
    """The whole document, ready for json.dump."""
    schemas = _schemas(
        (*EVENT_MODELS, *_FRAMES, *_ANSWERS, *ASSISTANT_MESSAGES), (*_COMMANDS, *sockets.COMMANDS)
    )
    schemas |= {_envelope_name(model): _envelope(model) for model in EVENT_MODELS}
    for model in EVENT_MODELS:  # the envelope says both already
        for field in ("type", "v"):
            schemas[model.__name__]["properties"].pop(field)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rhapsode events",
            "version": "1.0.0",
            "description": "A session's events as they are recorded, by SSE or WebSocket; see protocol.md.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": _channels() | sockets.channels(),
        "operations": _operations() | sockets.operations(),
        "components": {"messages": _messages(), "schemas": dict(sorted(schemas.items()))},
    }


def _schemas(sent: Iterable[type[BaseModel]], received: Iterable[type[BaseModel]]) -> dict[str, Any]:
    _, out = models_json_schema([(model, "serialization") for model in sent], ref_template=_REF)
    _, into = models_json_schema([(model, "validation") for model in received], ref_template=_REF)
    return {**out["$defs"], **into["$defs"]}


def _envelope_name(model: type[BaseModel]) -> str:
    return f"{model.__name__}Recorded"


def _envelope(model: type[BaseModel]) -> dict[str, Any]:
    properties = {
        "seq": {"type": "integer", "minimum": 1, "description": "1, 2, 3, ... without gaps."},
        "ts": {"type": "integer", "description": "Milliseconds since the epoch."},
        "turn": {"type": ["integer", "null"], "description": "The seq of the turn's turn.requested."},
        "type": {"const": type_of(model)},
        "v": {"const": model.model_fields["v"].default},
        "data": {"$ref": _REF.format(model=model.__name__)},
    }
    if type_of(model) == "audio.chunk":
        properties["audio"] = {"type": "string", "contentEncoding": "base64", "description": "SSE only."}
    required = [name for name in properties if name != "audio"]
    return {"type": "object", "properties": properties, "required": required}


def _messages() -> dict[str, Any]:
    messages = {type_of(m): _message(m, _envelope_name(m)) for m in EVENT_MODELS}
    others: Models = (*_FRAMES, *_ANSWERS, *_COMMANDS, *ASSISTANT_MESSAGES, *sockets.COMMANDS)
    return messages | {sockets.message_name(m): _message(m, m.__name__) for m in others}


def _message(model: type[BaseModel], schema: str) -> dict[str, Any]:
    summary = (model.__doc__ or "").strip().split("\n\n")[0]
    return {
        "name": sockets.message_name(model),
        **({"summary": summary} if summary else {}),
        "payload": {"$ref": _REF.format(model=schema)},
    }


def _channels() -> dict[str, Any]:
    session = {"session_id": {"description": "As POST /v1/sessions answered it."}}
    sse = sockets.refs([*EVENT_MODELS, *_FRAMES])
    return {
        "events": {
            "address": "/v1/sessions/{session_id}/events",
            "description": "Server-sent events. Events are unnamed and carry their cursor as `id`; frames are"
            " named by their type, which their data leaves out.",
            "parameters": session,
            "messages": sse,
        },
        "stream": {
            "address": "/v1/sessions/{session_id}/stream",
            "description": "WebSocket. With audio, an audio.chunk is a binary frame: four bytes big-endian"
            " length, the event's JSON, the sound. Between input.open and input.close the client's binary"
            " frames are sound in the declared format.",
            "parameters": session,
            "messages": sse | sockets.refs([*_ANSWERS, *_COMMANDS]),
            "bindings": sockets.query_binding(_LISTENING),
        },
    }


def _operations() -> dict[str, Any]:
    models: list[type[BaseModel]] = [*EVENT_MODELS, *_FRAMES]
    return {
        "tellByServerSentEvents": sockets.operation("send", "events", models),
        "tellByWebSocket": sockets.operation("send", "stream", models),
        "takeCommands": sockets.operation("receive", "stream", _COMMANDS)
        | {
            "reply": {
                "channel": {"$ref": "#/channels/stream"},
                "messages": sockets.listed("stream", [*_ANSWERS, native_messages.ErrorFrame]),
            }
        },
    }
