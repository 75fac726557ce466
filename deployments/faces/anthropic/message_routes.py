"""Anthropic's Messages API: each answer is a chat completion of ours, in Anthropic's words."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import anyio.to_thread
import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from deployments.faces.anthropic.message_mapping import chat_request
from deployments.faces.anthropic.message_translator import PING, Event, MessageTranslator, whole
from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.routes.chat_routes import AskedCompletion, asked_for
from deployments.faces.openai.routes.openai_streams import EVENTS, Flowing, headers_of, ignored_in, pieces_of
from deployments.web.body_limits import BoundedRoute
from deployments.web.error_shapes import anthropic_problems
from deployments.web.resource_access import Caller
from deployments.web.sse_format import written
from schemas.anthropic.messages_request import MessagesRequest
from schemas.errors import RhapsodeError

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
