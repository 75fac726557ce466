"""The one table from our errors to HTTP and WebSocket: problem+json (RFC 9457), close codes, frames."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from deployments.web.error_shapes import anthropic_problems, openai_problems, realtime_error_events
from schemas.errors import GatewayBusy, InputError, RhapsodeError
from schemas.errors.access_errors import LimitReached, Unauthenticated
from schemas.native.native_messages import ErrorFrame, Problem

STATUS: Final[dict[str, int]] = {
    code: status
    for status, codes in {
        400: (
            "realtime.invalid body.not_json body.not_text previous_response_not_found unsupported_parameter "
            "unsupported_value missing_required_parameter input.cancelled stream.invalid cursor.malformed"
        ),
        401: "auth.required auth.invalid auth.expired",
        403: "auth.forbidden origin.refused producer.fenced",
        404: (
            "model.not_found response.not_found stream.not_found share.not_found session.not_found "
            "dead_letter.not_found projection.not_found turn.not_found scene.not_found user.not_found "
            "character.not_found narration.not_found chunk.not_found gateway.not_found document.not_found "
            "collection.not_found"
        ),
        405: "stream.read_only",
        409: (
            "answer.stopped input.not_open quota.stored stream.conflict stream.closed producer.gap "
            "session.ended session.quota turn.none_running turn.not_replaceable scene.not_ready "
            "state.refused cursor.foreign cursor.ahead log.conflict document.busy quota.reached "
            "quota.collections quota.documents quota.bytes"
        ),
        410: "stream.gone session.gone",
        413: "body.too_large document.too_large bundle.too_large",
        415: "document.unsupported",
        416: "range.unsatisfiable",
        422: (
            "input.invalid input.unknown_field input.too_long voice.unknown voice.language voice.element "
            "ssml.invalid pronunciation.pattern provider.unknown model.unknown function.unknown "
            "format.unsupported sound.unreadable schema.invalid context.too_long document.invalid "
            "document.unreadable document.encrypted document.empty document.too_slow bundle.invalid "
            "bundle.version bundle.damaged"
        ),
        425: "chunk.not_ready",
        429: (
            "limit.reached limit.sessions limit.turns limit.characters limit.audio limit.listeners "
            "limit.bytes limit.heard limit.files limit.searches limit.uploads turn.queue_full"
        ),
        502: "engine.failed",
        503: (
            "gateway.busy gateway.leaving engine.busy engine.dead log.unavailable log.fenced log.lost "
            "log.foreign archive.unavailable document.interrupted retrieval.unavailable"
        ),
    }.items()
    for code in codes.split()
}
"""Statuses of our codes; a code that is missing here is a fault of the server: 500."""
RETRY_AFTER_S: Final = 2
_NOT_THE_CLIENTS: Final = (
    *("body", "query", "path", "header"),
    *("turn.request", "control", "ping", "playback.ack"),
    *("input.open", "input.commit", "input.clear", "input.close"),
)
"""Parts of pydantic's paths that say where we looked, not what the client wrote."""
_CODE_OF_STATUS: Final = {
    400: "body.not_json",
    404: "route.not_found",
    405: "route.method_not_allowed",
    413: "body.too_large",
}
"""For what the framework refuses before our code sees it; its only 400 is a body that it cannot decode."""
_INTERNAL: Final = 500
_PROBLEM: Final = "application/problem+json"
_NOTHING_HERE: Final = (
    '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width" />'
    '<meta name="color-scheme" content="light dark" /><title>Not found · Rhapsode</title>'
    '<h1>Not found</h1><p>There is nothing at this address. <a href="{home}/">Open Rhapsode</a></p>'
)
"""For a browser that was sent to an address that there is not."""


def status_of(code: str) -> int:
    return STATUS.get(code, _INTERNAL)


def close_code(error: RhapsodeError) -> int:
    """4000 + the HTTP status for a refusal; 1013 ("try again later") where that helps; else 1011."""
    status = status_of(error.code)
    if error.retryable:
        return 1013
    return 4000 + status if status < _INTERNAL else 1011


def error_frame(error: RhapsodeError, ref: str | None = None) -> ErrorFrame:
    return ErrorFrame(
        code=error.code,
        message=str(error),
        ref=ref,
        field=error.field,
        retryable=error.retryable,
        retry_after_s=retry_after_s(error),
        reason=error.why,
    )


def retry_after_s(error: RhapsodeError) -> int | None:
    """Whole seconds, rather too many than too few; None where nothing is known or waiting does not help."""
    seconds = error.retry_after_s if isinstance(error, LimitReached | GatewayBusy) else None
    return None if seconds is None else max(1, math.ceil(seconds))


_MEASURED: Final = re.compile(
    r"Value should have (at most|at least) (\d+) items? after validation, not (\d+)"
)

_NAME_CHARS: Final = 80
"""Of a field's name that the client chose; a refusal repeats no more of it."""


def validation_problem(errors: Sequence[Any]) -> tuple[str, str, str | None]:
    """Code, message and field path of the first of pydantic's complaints."""
    first = errors[0]
    path = [str(part)[:_NAME_CHARS] for part in first["loc"] if part not in _NOT_THE_CLIENTS]
    kind = first["type"]
    if kind == "json_invalid":
        return "body.not_json", "the body is not JSON", None
    code = "input.unknown_field" if kind == "extra_forbidden" else "input.invalid"
    message = "there is no such field" if kind == "extra_forbidden" else _plain(first["msg"])
    field = ".".join(path) or None
    return code, f"{field}: {message}" if field else message, field


def _plain(message: str) -> str:
    """Pydantic's words for people; of a text that was read first it says "items after validation"."""
    return _MEASURED.sub(r"Text should have \1 \2 characters, not \3", message.removeprefix("Value error, "))


def frame_of_validation(error: ValidationError, ref: str | None) -> ErrorFrame:
    code, message, field = validation_problem(error.errors(include_context=False, include_input=False))
    return ErrorFrame(code=code, message=message, ref=ref, field=field)


def _response(
    status: int,
    code: str,
    detail: str,
    field: str | None,
    retryable: bool,
    headers: dict[str, str] | None = None,
    reason: str | None = None,
) -> JSONResponse:
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        retryable=retryable,
        field=field,
        reason=reason,
    )
    waiting = {"Retry-After": str(RETRY_AFTER_S)} if retryable else {}
    return JSONResponse(problem.model_dump(exclude_none=True), status, waiting | (headers or {}), _PROBLEM)


class ErrorShape(Protocol):
    """Another API's errors, for the paths that are its own."""

    @property
    def PATHS(self) -> re.Pattern[str]: ...  # a module's constant

    def response_of(
        self, code: str, message: str, field: str | None, headers: Mapping[str, str]
    ) -> JSONResponse: ...

    def invalid_parts(self, errors: Sequence[Any]) -> tuple[str, str, str | None]: ...

    def absent(self, path: str) -> str | None: ...


_SHAPES: Final[tuple[ErrorShape, ...]] = (openai_problems, anthropic_problems)


def _shape(scope: Scope) -> ErrorShape | None:
    """The API in whose words errors under this path are told; None: in ours."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return next((one for one in _SHAPES if one.PATHS.fullmatch(path)), None)


def refusal(error: RhapsodeError, scope: Scope) -> JSONResponse:
    """As whoever sends this request understands it."""
    shape = _shape(scope)
    if shape is None:
        return problem_response(error)
    return shape.response_of(error.code, str(error), error.field, headers_of(error))


def problem_response(error: RhapsodeError) -> JSONResponse:
    headers, status = _headers(error), status_of(error.code)
    return _response(status, error.code, str(error), error.field, error.retryable, headers, error.why)


def headers_of(error: RhapsodeError) -> dict[str, str]:
    """Returns the headers of an answer with this error, in any shape."""
    return ({"Retry-After": str(RETRY_AFTER_S)} if error.retryable else {}) | _headers(error)


def _headers(error: RhapsodeError) -> dict[str, str]:
    headers = {}
    if (seconds := retry_after_s(error)) is not None:
        headers["Retry-After"] = str(seconds)
    if isinstance(error, Unauthenticated):
        known = "" if type(error) is Unauthenticated else ', error="invalid_token"'  # RFC 6750, section 3
        headers["WWW-Authenticate"] = f'Bearer realm="rhapsode"{known}'
    return headers


async def refuse_socket(websocket: WebSocket, error: RhapsodeError) -> None:
    """Tell why, then close: browsers hide the status of a refused handshake, so it is accepted first."""
    with suppress(WebSocketDisconnect, RuntimeError):
        if websocket.application_state is WebSocketState.CONNECTING:
            await websocket.accept()
        path = websocket.scope["path"].removeprefix(websocket.scope.get("root_path", ""))
        if path == realtime_error_events.PATH:
            await websocket.send_json(realtime_error_events.error_event(error))
        else:
            await websocket.send_text(error_frame(error).model_dump_json())
        await websocket.close(close_code(error))


def _allowed(request: Request) -> str:
    """The methods of every route with this path; the framework names those of the first one."""
    routes = [one.original_route for one in iter_route_contexts(request.app.routes)]
    found = [one for one in routes if one.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for one in found for method in getattr(one, "methods", None) or ()}))


def _not_served(request: Request, error: HTTPException) -> Response:
    """Answers what the framework refuses; a browser at an address without anything gets a page."""
    absent = error.status_code == HTTPStatus.NOT_FOUND
    if absent and "text/html" in request.headers.get("accept", ""):
        home = html.escape(request.scope.get("root_path", ""))
        return HTMLResponse(_NOTHING_HERE.format(home=home), HTTPStatus.NOT_FOUND)
    code = _CODE_OF_STATUS.get(error.status_code, "http.refused")
    headers = {"Allow": _allowed(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else {}
    if shape := _shape(request.scope):
        path = request.url.path[:200]
        message = f"{shape.absent(path) or error.detail}: {request.method} {path}"
        return shape.response_of(code, message, None, headers)
    return _response(error.status_code, code, str(error.detail), None, retryable=False, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    async def ours(connection: Request | WebSocket, error: Exception) -> JSONResponse | None:
        assert isinstance(error, RhapsodeError)
        if isinstance(connection, WebSocket):
            await refuse_socket(connection, error)
            return None
        return refusal(error, connection.scope)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        if shape := _shape(request.scope):
            return shape.response_of(*shape.invalid_parts(error.errors()), {})
        code, message, field = validation_problem(error.errors())
        return _response(status_of(code), code, message, field, retryable=False)

    async def invalid_socket(websocket: WebSocket, error: Exception) -> None:
        assert isinstance(error, WebSocketRequestValidationError)
        _, message, field = validation_problem(error.errors())
        await refuse_socket(websocket, InputError(message, field=field))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _not_served(request, error)

    async def left(request: Request, error: Exception) -> Response:
        """The client has gone within its body: nobody reads an answer."""
        return Response(status_code=HTTPStatus.BAD_REQUEST)

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        if shape := _shape(request.scope):
            return shape.response_of("internal", "something went wrong here", None, {})
        return _response(_INTERNAL, "internal", "something went wrong here", None, retryable=False)

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(RhapsodeError, ours)  # type: ignore[arg-type]  # it answers sockets itself
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(WebSocketRequestValidationError, invalid_socket)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, left)
