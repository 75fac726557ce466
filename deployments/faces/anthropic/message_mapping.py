"""A request of Anthropic's clients as the chat completion that it asks for."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from schemas.anthropic.messages_request import ContentBlock, InputMessage, MessagesRequest, ToolSelection
from schemas.errors import InputError
from schemas.openai.chat_request import ChatCompletionRequest

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_FAILED: Final = "Error: "
"""Begins a result with `is_error`, for which chat completions have no field."""

Said = dict[str, Any]


def chat_request(params: MessagesRequest) -> ChatCompletionRequest:
    """Raises InputError for what a chat completion refuses, as arguments that are too long."""
    body: Said = {
        "model": params.model,
        "messages": [*_system(params), *(one for message in params.messages for one in _messages(message))],
        "stream": params.stream,
        "max_tokens": params.max_tokens,
        "stop": list(params.stop_sequences),
        "temperature": params.temperature,
        "top_p": params.top_p,
        "tools": [
            _function(name=one.name, description=one.description, parameters=one.input_schema)
            for one in params.tools
        ],
    }
    if params.tool_choice is not None:
        body["tool_choice"] = _choice(params.tool_choice)
        body["parallel_tool_calls"] = not params.tool_choice.disable_parallel_tool_use
    if params.output_config is not None and params.output_config.format is not None:
        schema = {"name": "answer", "schema": params.output_config.format.json_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    try:
        request = ChatCompletionRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_context=False, include_input=False)[0]
        told = str(first["msg"]).removeprefix("Value error, ")
        raise InputError(told, field=str(first["loc"][0]) if first["loc"] else None) from error
    return request.model_copy(update={"rhapsode": params.rhapsode})


def _system(params: MessagesRequest) -> Iterator[Said]:
    if params.system:
        yield {"role": "system", "content": [_text(one.text) for one in params.system]}


def _messages(message: InputMessage) -> Iterator[Said]:
    """Results of tools are messages of their own there, and stand before what the user adds."""
    for result in message.of_type("tool_result"):
        yield {"role": "tool", "tool_call_id": result.tool_use_id, "content": _result(result)}
    texts = [_text(one.text or "") for one in message.of_type("text")]
    calls = [
        {"id": one.id, **_function(name=one.name, arguments=json.dumps(one.input, ensure_ascii=False))}
        for one in message.of_type("tool_use")
    ]
    if texts or calls:
        yield {"role": message.role, "content": texts, **({"tool_calls": calls} if calls else {})}


def _result(block: ContentBlock) -> str:
    told = "\n".join(one.text for one in block.content)
    return _FAILED + told if block.is_error else told


def _choice(selected: ToolSelection) -> str | Said:
    return _function(name=selected.name) if selected.type == "tool" else _CHOICES[selected.type]


def _text(text: str) -> Said:
    return {"type": "text", "text": text}


def _function(**function: Any) -> Said:
    return {"type": "function", "function": function}
