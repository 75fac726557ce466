"""Chat completions as OpenAI has them: what is asked, and calls of functions, which come in pieces. Pure."""

import secrets
from collections.abc import Sequence
from typing import Any, Final

from pipeline.core.texts import joined
from pipeline.engines.ports import NAMED_CHOICE, ChatRequest, Message, ToolCall
from schemas.settings.model_settings import ARGUMENT_CHARS

_MOST_CALLS: Final = 64
_ID_CHARS: Final = 64


def messages_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    if message.call is not None:
        body["tool_call_id"] = message.call
    return body


def wishes_of(request: ChatRequest) -> dict[str, Any]:
    """Sampling and functions; only what was wished for."""
    body: dict[str, Any] = {
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if request.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(request.json_schema), "strict": True},
        }
    if request.functions:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": one.name,
                    "description": one.description,
                    "parameters": dict(one.parameters) or {"type": "object", "properties": {}},
                },
            }
            for one in request.functions
        ]
        body["tool_choice"] = _choice(request.choice)
        body["parallel_tool_calls"] = request.parallel
    return {name: value for name, value in body.items() if value is not None}


def _choice(choice: str) -> str | dict[str, Any]:
    if choice.startswith(NAMED_CHOICE):
        return {"type": "function", "function": {"name": choice.removeprefix(NAMED_CHOICE)}}
    return choice


class CallsInPieces:
    """Puts calls together from `delta.tool_calls`; what is no call is passed over."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, str]] = {}

    def __bool__(self) -> bool:
        return any(call["name"] for call in self._calls.values())

    def take(self, pieces: Any) -> None:
        """The next piece, or all of it."""
        for place, piece in enumerate(pieces if isinstance(pieces, list) else ()):
            if not isinstance(piece, dict):
                continue
            index = piece.get("index")
            number = index if isinstance(index, int) and 0 <= index < _MOST_CALLS else place
            if number >= _MOST_CALLS:
                continue
            call = self._calls.setdefault(number, {"id": "", "name": "", "arguments": ""})
            function = piece.get("function")
            said = function if isinstance(function, dict) else {}
            call["id"] = call["id"] or _text(piece.get("id"))[:_ID_CHARS]
            call["name"] += _text(said.get("name"))
            call["arguments"] = (call["arguments"] + _text(said.get("arguments")))[: ARGUMENT_CHARS + 1]

    def calls(self) -> list[ToolCall]:
        """In the order of their numbers. Where the server gave a call no id, it gets one."""
        return [
            ToolCall(
                call["id"] or f"call_{secrets.token_hex(12)}",
                joined(call["name"]),
                joined(call["arguments"]) or "{}",
            )
            for _, call in sorted(self._calls.items())
            if call["name"]
        ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
