"""OpenAI's chat completions: each is a session of its own, so that all that is told comes from its log."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, NamedTuple

import anyio.to_thread
import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from deployments.container import GatewayContainer
from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.chat_completions import Completions
from deployments.faces.openai.chunk_translator import ChunkTranslator, Cursor, Wanted, Whole, parse_cursor
from deployments.faces.openai.routes.openai_streams import (
    DONE,
    EVENTS,
    Flowing,
    event,
    headers_of,
    ignored_in,
    pieces_of,
)
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from deployments.web.sse_format import QUIET
from pipeline.auth.principals import Principal
from schemas.openai.chat_request import ChatCompletionRequest

router = APIRouter(prefix="/v1", tags=["openai"], route_class=BoundedRoute)

PATH = "/v1/chat/completions"
"""Takes larger bodies than other places: what was said may be in them."""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.post("/chat/completions", response_class=JSONResponse, responses=_ANSWERS)
async def complete(
    services: Open,
    caller: Caller,
    request: Request,
    params: ChatCompletionRequest,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """One answer, at once or in chunks. docs/openai.md says which fields are supported.

    With the header `Last-Event-ID` the same request goes on after that chunk; no model is asked again.
    """
    ignored = ignored_in(params, services.settings.openai)
    asked = await asked_for(services, caller, request, params, last_event_id)
    wanted, headers = asked.wanted, headers_of(asked.wanted.session) | ignored
    if params.stream:
        pieces = _events(asked)
        return Flowing(pieces, asked.stay, media_type=EVENTS, headers=headers)
    async with asked.stay:
        whole = await while_awaited(request, lambda: _whole(asked.completions, wanted))
    return Response(whole, media_type="application/json", headers=headers)


class AskedCompletion(NamedTuple):
    """An answer that a client waits for."""

    completions: Completions
    wanted: Wanted
    after: Cursor | None
    """The last chunk that the client has."""
    stay: AsyncExitStack
    """Left when the client has gone or has its answer; the code that sends the answer enters it."""


async def asked_for(
    services: GatewayContainer,
    caller: Principal,
    request: Request,
    params: ChatCompletionRequest,
    last_event_id: str | None,
) -> AskedCompletion:
    """Begins the answer, or resumes it after a chunk. Raises what `Completions.begin` and `resume` raise."""
    completions = Completions(services)
    cursor = parse_cursor(last_event_id) if last_event_id else None
    since = None
    if cursor is not None:
        wanted = await completions.resume(params, cursor, caller)
        since = await services.ephemeral.returned(wanted.session)
    else:
        wanted, _ = await while_awaited(request, lambda: completions.begin(params, caller))
    stay = AsyncExitStack()
    keep = bool(params.store)
    stay.enter_context(services.ephemeral.waiting(wanted.session, wanted.turn, since=since, keep=keep))
    return AskedCompletion(completions, wanted, cursor, stay)


async def _whole(completions: Completions, wanted: Wanted) -> bytes:
    """As JSON; a spoken one is large, and made beside the loop."""
    translator, whole = ChunkTranslator(wanted), Whole(wanted)
    async with aclosing(completions.chunks(wanted, translator)) as events:
        async for item in events:
            if item is not None:
                whole.add(item[1])

    def written() -> bytes:
        return orjson.dumps(whole.completion(translator))

    return written() if wanted.sound is None else await anyio.to_thread.run_sync(written)


async def _events(asked: AskedCompletion) -> AsyncGenerator[bytes, None]:
    """The chunks after the cursor."""
    translator = ChunkTranslator(asked.wanted)
    chunks = asked.completions.chunks(asked.wanted, translator)
    async with aclosing(pieces_of(chunks, asked.wanted, asked.after, event, QUIET)) as pieces:
        async for piece in pieces:
            yield piece
    if translator.over:
        yield DONE
