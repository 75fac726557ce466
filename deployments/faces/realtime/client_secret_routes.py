"""Client secrets: short-lived credentials that open a Realtime session and nothing else."""

from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deployments.container import GatewayContainer
from deployments.faces.native.session_routes import Open
from deployments.faces.realtime.session_config import checked, initial, updated
from deployments.web import problem_details
from deployments.web.body_limits import read_json
from deployments.web.error_shapes.realtime_error_events import error_body
from deployments.web.resource_access import Caller
from pipeline.auth.principals import Principal
from schemas.errors import RhapsodeError
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.realtime.client_events import secret_wish, session_patch
from schemas.settings.provider_settings import LOCAL

router = APIRouter(prefix="/v1/realtime", tags=["realtime"])
_BODY = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "expires_after": {
                            "type": "object",
                            "properties": {
                                "anchor": {"type": "string", "enum": ["created_at"]},
                                "seconds": {
                                    "type": "integer",
                                    "minimum": 10,
                                    "maximum": 7_200,
                                    "default": 600,
                                },
                            },
                        },
                        "session": {"type": "object", "description": "As in session.update."},
                    },
                }
            }
        }
    }
}
_ERROR = {"content": {"application/json": {"schema": {"type": "object"}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "Refused, in OpenAI's shape.", **_ERROR} for status in (400, 401, 403, 413, 503)
}


@router.post("/client_secrets", openapi_extra=_BODY, responses=_ERRORS)
async def create_client_secret(request: Request, services: Open, caller: Caller) -> JSONResponse:
    """For a browser: it opens Realtime sessions of this configuration for the caller, until it expires."""
    try:
        return JSONResponse(await _made(services, caller, await request.body()))
    except RhapsodeError as error:
        body = {"error": error_body(error)}
        return JSONResponse(body, problem_details.status_of(error.code), problem_details.headers_of(error))


async def _made(services: GatewayContainer, caller: Principal, body: bytes) -> dict[str, Any]:
    try:
        raw = await read_json(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise RealtimeInvalid("The body is not JSON.", reason="invalid_json") from error
    params = secret_wish(raw)
    choices = services.sessions.choices
    patch = session_patch(params.session)
    model = getattr(patch, "model", None) or LOCAL
    services.names.answering(model)
    config = updated(initial(choices.defaults, model=model), patch)
    # It counts as a session: the server keeps something for each of them.
    await services.sessions.admit(caller.name, checked(config, services.names).apply(choices.defaults))
    await services.sessions.charge(caller.name, len(orjson.dumps(config)))
    value, expires_at, name = await services.secrets.make(caller, config, ttl_s=params.expires_after.seconds)
    session = {
        "type": config["type"],
        "object": f"realtime.{'session' if config['type'] == 'realtime' else 'transcription_session'}",
    }
    return {
        "value": value,
        "expires_at": expires_at,
        "session": {**session, "id": f"sess_{name}", "expires_at": expires_at, **config},
    }
