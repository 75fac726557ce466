"""Calls over WebRTC: an SDP offer in, an answer out, and the Realtime API on the data channel."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from deployments.container import GatewayContainer
from deployments.faces.forms.form_bodies import check_form_type
from deployments.faces.native.session_routes import Open
from deployments.faces.realtime.realtime_opening import Patch, known_session, open_session, session_of_call
from deployments.faces.realtime.webrtc.calls import Calls
from deployments.web import problem_details
from deployments.web.body_limits import read_json
from deployments.web.error_shapes.realtime_error_events import error_body
from deployments.web.resource_access import Caller, while_allowed
from schemas.errors import BodyTooLarge, InputError, RhapsodeError, SessionNotFound
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.events import CallHungUp
from schemas.realtime.client_events import session_patch


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    services: GatewayContainer = app.state.services
    async with Calls(services) as calls:
        app.state.calls = calls
        yield
        await calls.see_out()


router = APIRouter(prefix="/v1/realtime/calls", tags=["realtime"], lifespan=_lifespan)
_SDP = {"application/sdp": {"schema": {"type": "string"}}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **_SDP,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["sdp"],
                    "properties": {
                        "sdp": {"type": "string"},
                        "session": {"type": "string", "description": "JSON, as in session.update."},
                    },
                }
            },
        },
    }
}
_ERROR = {"content": {"application/json": {"schema": {"type": "object"}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "Refused, in OpenAI's shape.", **_ERROR}
    for status in (400, 401, 403, 404, 413, 429, 503)
}
_SESSION_BYTES = 256 * 1024
_CALL = re.compile(r"rtc_[0-9a-f-]{36}_[0-9a-f]{8}")


def _refused(error: RhapsodeError) -> JSONResponse:
    body = {"error": error_body(error)}
    return JSONResponse(body, problem_details.status_of(error.code), problem_details.headers_of(error))


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra=_BODY,
    responses={201: {"description": "The SDP answer.", "content": _SDP}, **_ERRORS},
)
async def create_call(request: Request, services: Open, caller: Caller) -> Response:
    """Begin a call; see docs/realtime.md. `session_id`, `starting_after` and `audio_starting_after` continue
    a session."""
    calls: Calls = request.app.state.calls
    try:
        offer, patch = await _offered(request, services.settings.gateway.webrtc.sdp_bytes)
        opening = partial(open_session, services, caller, dict(request.query_params), patch)
        answered = await calls.answer(caller.name, offer, opening, partial(while_allowed, request))
    except RhapsodeError as error:
        return _refused(error)
    place = f"{request.scope.get('root_path', '')}/v1/realtime/calls/{answered.call}"
    return Response(answered.sdp, 201, {"Location": place}, "application/sdp")


@router.post("/{call_id}/hangup", responses=_ERRORS)
async def hang_up(call_id: str, services: Open, caller: Caller) -> Response:
    """End a call, on whichever gateway it is. Its session stays."""
    name = session_of_call(call_id) if _CALL.fullmatch(call_id) else ""
    missing = SessionNotFound(f"There is no call {call_id[:80]!r}.", field="call_id")
    try:
        session = await known_session(services, caller, name, missing)
        await services.sessions.decide(session, lambda _: (CallHungUp(call=call_id),))
    except RhapsodeError as error:
        return _refused(error)
    return Response(status_code=200)


async def _offered(request: Request, longest: int) -> tuple[str, Patch | None]:
    """The offer, and the configuration that came with it. Raises RealtimeInvalid or BodyTooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    patch: Patch | None = None
    if kind == "application/sdp":
        offer = await request.body()
    elif kind == "multipart/form-data":
        try:
            check_form_type(request)
        except InputError as error:
            raise RealtimeInvalid(str(error), field=error.field) from error
        async with request.form(max_files=2, max_fields=2, max_part_size=_SESSION_BYTES) as form:
            fields = {
                name: value.encode() if isinstance(value, str) else await value.read(_SESSION_BYTES)
                for name, value in form.items()
            }
        if unknown := sorted(fields.keys() - {"sdp", "session"}):
            raise RealtimeInvalid(f"Unknown parameter: '{unknown[0][:80]}'.", field=unknown[0][:80])
        offer = fields.get("sdp", b"")
        if session := fields.get("session"):
            patch = await _patch(session)
    else:
        raise RealtimeInvalid(
            "An offer comes as application/sdp, or as multipart/form-data with the parts sdp and session.",
            field="content-type",
        )
    if len(offer) > longest:
        raise BodyTooLarge(f"An offer has at most {longest} bytes.", field="sdp")
    try:
        return offer.decode(), patch
    except UnicodeDecodeError as error:
        raise RealtimeInvalid("The offer is no text.", field="sdp") from error


async def _patch(text: bytes) -> Patch:
    try:
        raw = await read_json(text)
    except orjson.JSONDecodeError as error:
        raise RealtimeInvalid("session is not JSON.", reason="invalid_json", field="session") from error
    return session_patch(raw)
