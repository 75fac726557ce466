"""The routes of Durable Streams (protocol 1.0): generic streams, and sessions that are only read."""

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from deployments.faces.durable.stream_headers import (
    EVERYWHERE,
    headers_of_error,
    new_append,
    new_stream,
    offset_text,
    stream_name,
)
from deployments.faces.durable.stream_reads import ReadableStream, read
from deployments.faces.native.session_routes import Open, Session
from deployments.web.problem_details import refusal
from deployments.web.resource_access import Caller, owns
from pipeline.apps.stream_bodies import JSON
from pipeline.apps.streams import FoundStream
from pipeline.delivery.stream_pages import SessionEvents, StreamEnd, StreamPages
from pipeline.session_state.session_views import for_others
from schemas.errors import RhapsodeError
from schemas.errors.stream_errors import StreamReadOnly
from schemas.events.recorded import Recorded


class _StreamRoute(APIRoute):
    """Every answer, a refusal too, has the headers that browsers need."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                response = await handle(request)
            except RhapsodeError as error:
                response = refusal(error, request.scope)
                response.headers.update(headers_of_error(error))
            response.headers.update(EVERYWHERE)
            return response

        return handled


router = APIRouter(prefix="/v1/durable", tags=["durable streams"], route_class=_StreamRoute)
_PATH: Final = "/{stream:path}"
_SESSIONS: Final = "sessions"
_ANYTHING: Final[dict[str, Any]] = {"*/*": {"schema": {}}}
_SENT: Final[dict[str, Any]] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}


def _described_by(place: str, texts: dict[str, str], *, body: bool = False) -> dict[str, Any]:
    """Additions to a route's description: parameters that no argument of its function has."""
    parameters = [
        {"name": name, "in": place, "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in texts.items()
    ]
    return {"parameters": parameters} | ({"requestBody": {"content": _SENT}} if body else {})


_PRODUCER: Final = {
    "Stream-Closed": "`true`: nothing is appended after this request.",
    "Producer-Id": "Idempotent producer; with its epoch and number a batch is appended once.",
    "Producer-Epoch": "A whole number; a smaller one than the last is fenced (403).",
    "Producer-Seq": "Number of the batch in its epoch, from 0; 409 where one is missing.",
}
_CREATING: Final = _described_by(
    "header",
    {
        "Stream-TTL": "Seconds without a read or a write after which the stream expires.",
        "Stream-Expires-At": "RFC 3339 time at which the stream expires.",
        "Stream-Closed": "`true`: the body is all of the stream.",
        "Stream-Forked-From": "Path of the stream that this one begins with.",
        "Stream-Fork-Offset": "Offset up to which it does; otherwise the whole.",
        "Stream-Fork-Sub-Offset": "Bytes, or JSON messages, of the append behind the offset.",
    },
    body=True,
)
_APPENDING: Final = _described_by(
    "header", _PRODUCER | {"Stream-Seq": "Must be above that of the append before, byte by byte."}, body=True
)
_READING: Final = _described_by(
    "query",
    {
        "offset": "An offset that an answer named, `-1` (the beginning) or `now` (the end).",
        "live": "`long-poll` or `sse`: wait for what comes; it needs an offset.",
        "cursor": "`Stream-Cursor` of the answer before.",
    },
)
_READ: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Bytes from the offset on, or server-sent events.", "content": _ANYTHING},
    204: {"description": "Nothing came while the long poll lasted, or the stream is closed."},
    304: {"description": "The client has these bytes: `If-None-Match`."},
}


def _own_name(stream: str) -> str:
    """The name of a stream that clients may change. Raises StreamInvalid or StreamReadOnly."""
    name = stream_name(stream)
    if name.partition("/")[0] == _SESSIONS:
        raise StreamReadOnly("sessions are only read here", field="stream")
    return name


@router.head("/sessions/{session_id}", include_in_schema=False)
@router.get("/sessions/{session_id}", response_class=Response, responses=_READ, openapi_extra=_READING)
async def read_session(services: Open, caller: Caller, session: Session, request: Request) -> Response:
    """A session's events from an offset on, as a JSON stream that is closed when the session has ended."""
    conversation, head = await services.sessions.attend(session)
    end = StreamEnd(head.seq, head.seq, closed=conversation.ended)
    if request.method == "HEAD":
        return Response(headers=_described(end, JSON) | {"Cache-Control": "no-store"})
    owned = owns(caller, conversation.principal)

    def written(recorded: Recorded) -> bytes:
        return (recorded if owned else for_others(recorded)).json(orjson.dumps)

    pages = StreamPages(services.log, services.tailer, session, lambda: SessionEvents(written), audio=False)
    return await read(services, ReadableStream(session, JSON, end, pages), request)


@router.put(
    _PATH,
    status_code=201,
    response_class=Response,
    responses={200: {"description": "The stream is there already."}},
    openapi_extra=_CREATING,
)
async def create_stream(services: Open, caller: Caller, stream: str, request: Request) -> Response:
    """A stream, empty, with its first bytes, or as a fork; 200 if it is there already."""
    name = _own_name(stream)
    wanted = new_stream(request.headers, await request.body())
    found, is_new = await services.streams.create(caller.name, name, wanted)
    headers = _described(found.end, found.config.content_type)
    if is_new:
        headers["Location"] = str(
            request.url.replace(path=quote(request.scope["path"]), query="", fragment="")
        )
    return Response(status_code=201 if is_new else 200, headers=headers)


@router.post(
    _PATH,
    status_code=204,
    response_class=Response,
    responses={200: {"description": "The producer's batch is appended."}},
    openapi_extra=_APPENDING,
)
async def append_to_stream(services: Open, caller: Caller, stream: str, request: Request) -> Response:
    """Bytes at the stream's end, its closing, or both; 200 where a producer's batch is new, 204 otherwise."""
    name = _own_name(stream)
    new = new_append(request.headers, await request.body())
    found = await services.streams.find(caller.name, name)
    appended = await services.streams.append(caller.name, found.session, new)
    headers = {"Stream-Next-Offset": offset_text(appended.tail)}
    if appended.closed:
        headers["Stream-Closed"] = "true"
    if new.batch is not None:
        headers |= {"Producer-Epoch": str(new.batch.epoch), "Producer-Seq": str(appended.number)}
    is_new = new.batch is not None and new.body and not appended.duplicate
    return Response(status_code=200 if is_new else 204, headers=headers)


@router.head(_PATH, include_in_schema=False)
async def describe_stream(services: Open, caller: Caller, stream: str) -> Response:
    """The stream's end, and how long it lives."""
    found = await services.streams.find(caller.name, stream_name(stream))
    headers = _described(found.end, found.config.content_type) | _lifetime(found)
    return Response(headers=headers | {"Cache-Control": "no-store"})


@router.get(_PATH, response_class=Response, responses=_READ, openapi_extra=_READING)
async def read_stream(services: Open, caller: Caller, stream: str, request: Request) -> Response:
    """The stream from an offset on: at once, as a long poll, or as server-sent events."""
    found = await services.streams.find(caller.name, stream_name(stream))
    pages = services.streams.pages(found.session)
    readable = ReadableStream(found.session, found.config.content_type, found.end, pages)
    await services.streams.touch(caller.name, found)
    return await read(services, readable, request)


@router.delete(_PATH, status_code=204, response_class=Response)
async def delete_stream(services: Open, caller: Caller, stream: str) -> Response:
    """The stream is erased for good."""
    await services.streams.delete(caller.name, _own_name(stream))
    return Response(status_code=204)


def _described(end: StreamEnd, content_type: str) -> dict[str, str]:
    headers = {"content-type": content_type, "Stream-Next-Offset": offset_text(end.tail)}
    return headers | ({"Stream-Closed": "true"} if end.closed else {})


def _lifetime(stream: FoundStream) -> dict[str, str]:
    config = stream.config
    headers = {} if config.ttl_s is None else {"Stream-TTL": str(config.ttl_s)}
    return headers if config.expires_at is None else headers | {"Stream-Expires-At": config.expires_at}
