"""Our errors in the shape of OpenAI's, for the faces that speak its protocol."""

from typing import Any, Final

from deployments import problems
from schemas.access_errors import LimitReached, Unauthenticated
from schemas.errors import RhapsodeError
from schemas.realtime_errors import RealtimeInvalid

_SERVER: Final = 500


def error_body(error: RhapsodeError, event_id: str | None = None) -> dict[str, Any]:
    """What stands under "error"."""
    return {
        "type": _kind(error),
        "code": error.reason if isinstance(error, RealtimeInvalid) else error.code,
        "message": str(error),
        "param": error.field,
        "event_id": event_id,
    }


def _kind(error: RhapsodeError) -> str:
    if isinstance(error, LimitReached):
        return "rate_limit_error"
    if isinstance(error, Unauthenticated):
        return "authentication_error"
    return "server_error" if problems.status_of(error.code) >= _SERVER else "invalid_request_error"
