"""Our errors in Anthropic's shape, for everything below its path: a type by the status in OpenAI's table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.responses import JSONResponse

from deployments.web.error_shapes import openai_problems
from schemas.errors import RhapsodeError

PATHS: Final = re.compile(r"/v1/messages(/.*)?", re.DOTALL)
"""Answered in Anthropic's shape."""
_OVERLOADED: Final = 529
"""Anthropic's own status for a server that is full."""
_STATUSES: Final[Mapping[int, int]] = {503: _OVERLOADED, 502: 500}
_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    _OVERLOADED: "overloaded_error",
}
_ABSENT: Final = {
    "/v1/messages/count_tokens": "tokens are counted by 'usage' of a message only",
    "/v1/messages/batches": "there are no batches here",
}
_CODES: Final = {"extra_forbidden": "input.unknown_field", "unsupported_parameter": "unsupported_parameter"}
"""Ours by pydantic's; `thread` is the one parameter that is refused by its name."""
_THREAD_REFUSED: Final = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""Details of a refused `thread`, by which the SDKs' tool runner knows to send whole conversations."""
_PLACES: Final = frozenset({"body", "query", "path", "header"})


def absent(path: str) -> str | None:
    """Returns the advice for a route of Anthropic's that is not here."""
    return next((told for name, told in _ABSENT.items() if path == name or path.startswith(f"{name}/")), None)


def _status(code: str) -> int:
    status = openai_problems.TABLE.get(code, openai_problems.INTERNAL).status
    return _STATUSES.get(status, status)


def _body(code: str, message: str, field: str | None) -> dict[str, Any]:
    """The error object, as it stands in an answer or in a stream of events."""
    param = openai_problems.body_of(code, message, field)["error"]["param"]
    told = _as_told(param or "")
    named = message if message.startswith(told) else f"{told}: {message}"
    error: dict[str, Any] = {"type": _TYPES.get(_status(code), "invalid_request_error"), "message": named}
    if code == "unsupported_parameter":
        error["details"] = _THREAD_REFUSED
    return {"type": "error", "error": error}


def _as_told(param: str) -> str:
    """A field of a completion as Anthropic's clients know it."""
    found = re.sub(r"\[(\d+)\]", r".\1", param)
    return found.replace(".function.parameters", ".input_schema").replace(
        "response_format", "output_config.format"
    )


def error_body(error: RhapsodeError) -> dict[str, Any]:
    return _body(error.code, str(error), error.field)


def response_of(code: str, message: str, field: str | None, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(_body(code, message, field), _status(code), dict(headers))


def invalid_parts(errors: Sequence[Any]) -> tuple[str, str, str | None]:
    """Our code and the message of the first of pydantic's complaints; the message names the field."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return "body.not_json", "The request body is not valid JSON", None
    code = _CODES.get(first["type"], "input.invalid")
    path = ".".join(str(part)[:64] for part in first["loc"] if part not in _PLACES)
    message = "Extra inputs are not permitted" if code == "input.unknown_field" else str(first["msg"])
    told = message.removeprefix("Value error, ")
    return code, f"{path}: {told}" if path else told, None
