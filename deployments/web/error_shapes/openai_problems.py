"""Our errors in OpenAI's shape, for everything below the paths that are OpenAI's: one table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastapi.responses import JSONResponse

from schemas.errors import RhapsodeError
from schemas.openai.parameter_support import CODES

_CHAT: Final = "POST /v1/chat/completions answers here"
_ABSENT: Final = {
    "completions": f"there are no completions without messages here; {_CHAT}",
    "realtime/sessions": "that was the beta's; POST /v1/realtime/client_secrets makes secrets for browsers",
    "realtime/transcription_sessions": "that was the beta's; a client secret may be for transcription",
    **{
        name: f"there is nothing of OpenAI's {name.replace('_', ' ')} here; docs/openai.md says what there is"
        for name in (
            *("assistants", "batches", "chatkit", "containers", "conversations", "decisions", "edits"),
            *("engines", "evals", "files", "fine_tuning", "images", "live", "moderations", "organization"),
            *("skills", "uploads", "vector_stores", "videos"),
        )
    },
}
"""Routes of OpenAI's that are not here, and what to do instead."""
PATHS: Final = re.compile(
    r"/v1/(?!conversations/message/)"
    rf"((models|chat|responses|audio|embeddings|{'|'.join(_ABSENT)})(/.*)?|realtime/(client_secrets|calls(/.*)?))",
    re.DOTALL,
)
"""Answered in OpenAI's shape; everything else is ours."""
_REQUEST: Final = "invalid_request_error"
_SERVER: Final = "server_error"


class Shape(NamedTuple):
    """How OpenAI would say it."""

    status: int
    type: str
    code: str | None


_RATE: Final = Shape(429, "rate_limit_error", "rate_limit_exceeded")
_BUSY: Final = Shape(503, _SERVER, "server_overloaded")
_AWAY: Final = Shape(503, _SERVER, "service_unavailable")
_INVALID: Final = Shape(400, _REQUEST, "invalid_value")
_CURSOR: Final = Shape(400, _REQUEST, "invalid_event_id")
INTERNAL: Final = Shape(500, _SERVER, "server_error")

TABLE: Final[Mapping[str, Shape]] = {
    **{
        code: shape
        for shape, codes in {
            _INVALID: (
                "realtime.invalid voice.unknown voice.language voice.element ssml.invalid "
                "pronunciation.pattern input.invalid"
            ),
            Shape(401, _REQUEST, "missing_api_key"): "auth.required",
            Shape(401, _REQUEST, "invalid_api_key"): "auth.invalid auth.expired",
            Shape(403, "permission_error", "permission_denied"): "auth.forbidden",
            Shape(403, "permission_error", "origin_refused"): "origin.refused",
            Shape(404, _REQUEST, "model_not_found"): "model.not_found model.unknown provider.unknown",
            Shape(404, _REQUEST, None): "response.not_found",
            Shape(400, _REQUEST, "previous_response_not_found"): "previous_response_not_found",
            Shape(404, _REQUEST, "collection_not_found"): "collection.not_found",
            _CURSOR: "session.not_found session.gone cursor.malformed cursor.foreign cursor.ahead",
            Shape(400, _REQUEST, "unknown_parameter"): "input.unknown_field",
            Shape(400, _REQUEST, "string_above_max_length"): "input.too_long",
            Shape(400, _REQUEST, "request_cancelled"): "input.cancelled",
            Shape(400, _REQUEST, "unsupported_value"): "format.unsupported",
            Shape(400, _REQUEST, "invalid_audio"): "sound.unreadable",
            Shape(400, _REQUEST, "invalid_json"): "body.not_json body.not_text",
            Shape(413, _REQUEST, "request_too_large"): "body.too_large",
            Shape(404, _REQUEST, "unknown_url"): "route.not_found",
            Shape(405, _REQUEST, "method_not_allowed"): "route.method_not_allowed",
            _RATE: (
                "limit.reached limit.sessions limit.turns limit.characters limit.audio limit.listeners "
                "limit.heard limit.files limit.searches limit.uploads limit.bytes turn.queue_full"
            ),
            Shape(429, "insufficient_quota", "insufficient_quota"): "quota.stored",
            Shape(409, _REQUEST, "session_ended"): "session.ended",
            Shape(400, _REQUEST, "request_too_large"): "session.quota",
            Shape(409, _REQUEST, "conflict"): "state.refused",
            _BUSY: "gateway.busy gateway.leaving engine.busy",
            Shape(400, _REQUEST, "invalid_json_schema"): "schema.invalid",
            Shape(400, _REQUEST, "context_length_exceeded"): "context.too_long",
            _AWAY: (
                "engine.dead log.unavailable log.fenced log.lost log.foreign archive.unavailable "
                "retrieval.unavailable owner.lost"
            ),
            Shape(502, _SERVER, "engine_error"): "engine.failed",
            Shape(409, _SERVER, "conflict"): "log.conflict",
            Shape(400, _REQUEST, "answer_stopped"): "answer.stopped",
        }.items()
        for code in codes.split()
    },
    **{code: Shape(400, _REQUEST, code) for code in CODES},
}
"""By our codes. A code that is missing here is a fault of the server: 500."""
_FIELDS: Final = {
    "settings.llm_provider": "model",
    "settings.llm_model": "model",
    "settings.tts_provider": "model",
    "settings.voice": "voice",
    "settings.listening.provider": "model",
    "settings.collections": "rhapsode.collections",
    "settings.sampling.json_schema": "response_format",
    "settings.tools.functions": "tools",
    "from": "Last-Event-ID",
    "body": "file",
    "text": "input",
}
"""Our fields, as clients of OpenAI know them."""
_PARAMETERS: Final = re.compile(r"settings\.tools\.functions\.(\d+)\.parameters")
_PLACES: Final = frozenset({"body", "query", "path", "header"})
_NAME: Final = re.compile(r"(?!(constrained-)?str$|int$|float$|bool$)[a-z0-9_-]+(\[\])?")
"""Of a field; pydantic also names the branches of unions."""


def absent(path: str) -> str | None:
    """Returns the advice for a route of OpenAI's that is not here."""
    rest = path.removeprefix("/v1/")
    return next(
        (message for name, message in _ABSENT.items() if rest == name or rest.startswith(f"{name}/")), None
    )


def body_of(code: str, message: str, field: str | None) -> dict[str, Any]:
    """The error object, as it stands in an answer or in a stream of events."""
    shape = TABLE.get(code, INTERNAL)
    param = (
        None
        if field is None
        else _FIELDS.get(field, _PARAMETERS.sub(r"tools[\1].function.parameters", field))
    )
    return {"error": {"message": message, "type": shape.type, "param": param, "code": shape.code}}


def error_body(error: RhapsodeError) -> dict[str, Any]:
    return body_of(error.code, str(error), error.field)


def response_of(code: str, message: str, field: str | None, headers: Mapping[str, str]) -> JSONResponse:
    status = TABLE.get(code, INTERNAL).status
    return JSONResponse(body_of(code, message, field), status, dict(headers))


def invalid_parts(errors: Sequence[Any]) -> tuple[str, str, str | None]:
    """Our code, the message and OpenAI's `param` of the first of pydantic's complaints."""
    first = errors[0]
    kind = first["type"]
    if kind == "json_invalid":
        return "body.not_json", "We could not parse the JSON body of your request.", None
    if kind == "extra_forbidden":
        unknown = param_of(first["loc"]) or str(first["loc"][-1])[:64]
        return "input.unknown_field", f"Unknown parameter: '{unknown}'.", unknown
    param = ".".join(filter(None, (param_of(first["loc"]), first.get("ctx", {}).get("param")))) or None
    if kind == "missing":
        return "missing_required_parameter", f"Missing required parameter: '{param}'.", param
    message = str(first["msg"]).removeprefix("Value error, ")
    if kind in CODES:
        return kind, message, param
    return "input.invalid", f"{param}: {message}" if param else message, param


def param_of(loc: Sequence[int | str]) -> str | None:
    """A place as OpenAI writes it: `messages[0].content[1].type`."""
    written = ""
    for part in loc:
        if isinstance(part, int):
            written += f"[{part}]"
        elif _NAME.fullmatch(part) and (part not in _PLACES or written):
            written += f".{part[:64]}" if written else part[:64]
    return written or None
