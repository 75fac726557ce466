"""Anthropic's Messages API: each answer is a chat completion of ours, in Anthropic's words."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Annotated, Any, Final

import anyio.to_thread
import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from deployments.faces.anthropic.message_translator import PING, Event, MessageTranslator, whole
from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.routes.chat_routes import AskedCompletion, asked_for
from deployments.faces.openai.routes.openai_streams import EVENTS, Flowing, headers_of, ignored_in, pieces_of
from deployments.web.body_limits import BoundedRoute
from deployments.web.error_shapes import anthropic_problems
from deployments.web.resource_access import Caller
from deployments.web.sse_format import written
from schemas.anthropic.messages_request import ContentBlock, InputMessage, MessagesRequest, ToolSelection
from schemas.errors import InputError, RhapsodeError
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


router = APIRouter(prefix="/v1", tags=["anthropic"], route_class=BoundedRoute)

PATH: Final = "/v1/messages"
"""Takes bodies as large as chat completions do."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.post("/messages", response_class=JSONResponse, responses=_ANSWERS)
async def create_message(
    services: Open,
    caller: Caller,
    request: Request,
    params: MessagesRequest,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """One message, whole or in events. docs/anthropic.md says which fields are supported.

    With the header `Last-Event-ID` the same request goes on after that event; no model is asked again.
    """
    ignored = ignored_in(params, services.settings.openai, *params.effectless)
    chat = await anyio.to_thread.run_sync(chat_request, params)  # of ten million characters, perhaps
    asked = await asked_for(services, caller, request, chat, last_event_id)
    headers = headers_of(asked.wanted.session) | {"Request-Id": asked.wanted.session} | ignored
    if params.stream:
        return Flowing(_events(asked), asked.stay, media_type=EVENTS, headers=headers)
    async with asked.stay:
        message = await while_awaited(request, lambda: _whole(asked))
    return Response(orjson.dumps(message), media_type="application/json", headers=headers)


async def _whole(asked: AskedCompletion) -> Event:
    items = asked.completions.chunks(asked.wanted, MessageTranslator(asked.wanted))
    async with aclosing(items):
        return whole([item[1] async for item in items if item is not None])


async def _events(asked: AskedCompletion) -> AsyncGenerator[bytes, None]:
    """The events after the cursor. A failure after the first one is an event itself."""
    items = asked.completions.chunks(asked.wanted, MessageTranslator(asked.wanted))
    begun = False
    try:
        async with aclosing(pieces_of(items, asked.wanted, asked.after, _piece, _piece(PING))) as pieces:
            async for piece in pieces:
                begun = True
                yield piece
    except RhapsodeError as error:
        if not begun:
            raise
        yield _piece(anthropic_problems.error_body(error))


def _piece(event: Event, cursor: str = "") -> bytes:
    return written(orjson.dumps(event), name=event["type"], cursor=cursor)
