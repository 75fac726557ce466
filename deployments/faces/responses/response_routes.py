"""OpenAI's Responses API: a response is a turn of a session, and all of it comes from the log."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.chunk_translator import failure
from deployments.faces.openai.routes.openai_streams import EVENTS, Flowing, headers_of, ignored_in
from deployments.faces.responses.response_ids import ResponseId
from deployments.faces.responses.response_translator import ResponseTranslator, Shown
from deployments.faces.responses.response_turns import ResponseTurns
from deployments.web.body_limits import BoundedRoute
from deployments.web.error_shapes import openai_problems
from deployments.web.json_lists import listed
from deployments.web.resource_access import Caller
from deployments.web.sse_format import QUIET, written
from schemas.errors import InputError, RhapsodeError
from schemas.openai.responses_request import ResponsesRequest

router = APIRouter(prefix="/v1", tags=["openai"], route_class=BoundedRoute)

PATH: Final = "/v1/responses"
"""Takes bodies as large as chat completions do."""
_EARLY: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
"""Events that wait for what follows them, which may be a refusal with a status of its own."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.post("/responses", response_class=JSONResponse, responses=_ANSWERS)
async def respond(services: Open, caller: Caller, request: Request, params: ResponsesRequest) -> Response:
    """One response: whole, in events, or in the background. docs/openai.md says which fields count."""
    ignored = ignored_in(params, services.settings.openai)
    turns = ResponseTurns(services)
    name = await while_awaited(request, lambda: turns.begin(params, caller))
    headers = headers_of(name.session) | ignored
    stay = AsyncExitStack()
    if not params.stored:
        stay.enter_context(services.ephemeral.waiting(name.session, name.turn))
    if params.stream:
        pieces = _events(turns, name, early=bool(params.background))
        return Flowing(pieces, stay, media_type=EVENTS, headers=headers)
    async with stay:
        follow = not params.background
        shown = await while_awaited(request, lambda: _whole(turns, name, follow=follow, refuse=True))
    return _json(shown, headers)


@router.get("/responses/{response_id}", response_class=JSONResponse, responses=_ANSWERS)
async def retrieve(
    services: Open,
    caller: Caller,
    response_id: str,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=0)] | None = None,
) -> Response:
    """A stored response as it is now; or its events after the one with the number `starting_after`."""
    turns = ResponseTurns(services)
    name, _ = await turns.find(response_id, caller)
    if not stream:
        return _json(await _whole(turns, name, follow=False), headers_of(name.session))
    pieces = _events(turns, name, early=True, after=-1 if starting_after is None else starting_after)
    return Flowing(pieces, AsyncExitStack(), media_type=EVENTS, headers=headers_of(name.session))


@router.post("/responses/{response_id}/cancel", response_class=JSONResponse)
async def cancel(services: Open, caller: Caller, response_id: str) -> Response:
    """Stops a stored response; one that is over stays as it is."""
    turns = ResponseTurns(services)
    name = await turns.cancel(response_id, caller)
    return _json(await _whole(turns, name, follow=False), headers_of(name.session))


@router.delete("/responses/{response_id}", response_class=JSONResponse)
async def delete(services: Open, caller: Caller, response_id: str) -> Response:
    """Deletes a stored response; responses that went on from it stay."""
    await ResponseTurns(services).delete(response_id, caller)
    return _json({"id": response_id, "object": "response", "deleted": True})


@router.get("/responses/{response_id}/input_items", response_class=JSONResponse)
async def input_items(
    services: Open,
    caller: Caller,
    request: Request,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """The items that a stored response rests on, with those of the responses before it."""
    items, conversation = await ResponseTurns(services).input_items(response_id, caller)
    names = list(items) if order == "asc" else list(items)[::-1]
    if after is not None and after not in items:
        raise InputError(f"Item with id '{after[:80]}' not found.", field="after")
    begin = 0 if after is None else names.index(after) + 1
    shown = names[begin : begin + limit]
    page = ({"id": name, **items[name](), "status": "completed"} for name in shown)
    ends = {"first_id": shown[0], "last_id": shown[-1]} if shown else {"first_id": "", "last_id": ""}
    about = {"object": "list", "has_more": begin + limit < len(names), **ends}
    return await listed(request, about, "data", page, conversation)


def _json(shown: Shown, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(shown), media_type="application/json", headers=headers)


async def _whole(turns: ResponseTurns, name: ResponseId, *, follow: bool, refuse: bool = False) -> Shown:
    """The response as it is at the end, or as it is now. `refuse`: raises what its turn failed with."""
    translator = await turns.translator(name)
    async with aclosing(turns.events(translator, follow=follow)) as events:
        async for _ in events:
            pass
    if refuse:
        _refuse(translator)
    return translator.shown()


def _refuse(translator: ResponseTranslator) -> None:
    if translator.failed is not None:
        code, message = translator.failed
        error = failure(code, message, form="text.format.schema")
        error.field = "input" if error.field == "messages" else error.field
        raise error


async def _events(
    turns: ResponseTurns, name: ResponseId, *, early: bool, after: int = -1
) -> AsyncGenerator[bytes, None]:
    """The response's events with higher numbers than `after`. Unless `early`, the first ones wait for what
    follows them."""
    translator, waiting, number = await turns.translator(name), b"", 0
    try:
        async with aclosing(turns.events(translator)) as events:
            async for event in events:
                if event is None:
                    if not waiting:
                        yield QUIET
                    continue
                number = event["sequence_number"] + 1
                if number <= after + 1:
                    continue
                piece = _piece(event)
                if not early and event["type"] in _EARLY:
                    waiting += piece
                    continue
                if not early and event["type"] == "response.failed":
                    _refuse(translator)
                early = True
                yield waiting + piece
                waiting = b""
    except RhapsodeError as error:
        if not early:
            raise
        body = openai_problems.error_body(error)["error"]
        told = {"type": "error", "code": body["code"], "message": body["message"], "param": body["param"]}
        yield _piece(told | {"sequence_number": number})


def _piece(event: Shown) -> bytes:
    return written(orjson.dumps(event), name=event["type"])
