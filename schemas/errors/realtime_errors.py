"""Errors of a Realtime client's event, in OpenAI's words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from schemas.errors import InputError

_CODES: Final[Mapping[str, str]] = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "json_invalid": "invalid_json",
    "unsupported": "unsupported_value",
    "too_deep": "invalid_value",
}
_FIELD: Final = re.compile(r"[a-z_][a-z0-9_]*")
_BRANCHES: Final = frozenset({"int", "str"})


class RealtimeInvalid(InputError):
    """A Realtime event cannot be taken; `reason` is OpenAI's code for it, `field` the wrong parameter."""

    code: ClassVar[str] = "realtime.invalid"

    def __init__(self, message: str, *, reason: str = "invalid_value", field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.reason = reason


def of_validation(errors: Sequence[Any], *, within: str = "") -> RealtimeInvalid:
    """The first of pydantic's complaints, without the parts of its path that say which branch it tried."""
    first = errors[0]
    param = within
    for part in first["loc"]:
        if isinstance(part, int):
            param += f"[{part}]"
        elif _FIELD.fullmatch(part) and part not in _BRANCHES:
            param += f".{part}" if param else part
    kind: str = first["type"]
    reason = _CODES.get(kind) or ("invalid_type" if kind.endswith("_type") else "invalid_value")
    return RealtimeInvalid(_message(kind, first["msg"], param), reason=reason, field=param or None)


def _message(kind: str, message: str, param: str) -> str:
    if kind == "missing":
        return f"Missing required parameter: '{param}'."
    if kind == "extra_forbidden":
        return f"Unknown parameter: '{param}'."
    return f"Invalid value for '{param}': {message.removeprefix('Value error, ')}." if param else message
