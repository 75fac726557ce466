"""Our errors in the shape of OpenAI's, for the Realtime API."""

import re
from typing import Any, Final

from schemas.errors import GatewayBusy, InputError, RhapsodeError, StateError
from schemas.errors.access_errors import AccessError, LimitReached, Unauthenticated
from schemas.errors.realtime_errors import RealtimeInvalid

PATH: Final = "/v1/realtime"
"""Errors of sockets there are told so."""
_REFUSED: Final = "event_refused"
_CODES: Final = {"model.not_found": "model_not_found", "schema.invalid": "invalid_json_schema"}
"""Codes of OpenAI's own for some of our codes."""
_PARAMETERS: Final = re.compile(r"(?:(session)|settings)\.tools\.(?:functions\.)?(\d+)\.parameters")


def error_body(error: RhapsodeError, event_id: str | None = None) -> dict[str, Any]:
    """Returns the object under "error"."""
    return {
        "type": _kind(error),
        "code": error.reason if isinstance(error, RealtimeInvalid) else _CODES.get(error.code, error.code),
        "message": str(error),
        "param": error.field and _PARAMETERS.sub(_tool, error.field),
        "event_id": event_id,
    }


def _tool(found: re.Match[str]) -> str:
    """The place of a function's schema: in the session, or else in the response that is asked for."""
    return f"{found[1] or 'response'}.tools[{found[2]}].parameters"


def error_event(error: RhapsodeError) -> dict[str, Any]:
    """The last event of a connection that is refused."""
    return {"type": "error", "event_id": _REFUSED, "error": error_body(error)}


def _kind(error: RhapsodeError) -> str:
    if isinstance(error, LimitReached):
        return "rate_limit_error"
    if isinstance(error, Unauthenticated):
        return "authentication_error"
    theirs = isinstance(error, InputError | StateError | AccessError) and not isinstance(error, GatewayBusy)
    return "invalid_request_error" if theirs else "server_error"
