"""How much JSON is taken at all: what is wrong with it is told once, not once for each of its values."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import PydanticCustomError

VALUES: Final = 50_000
"""In one request or event; those that make sense have a tenth of it."""
DEEPEST: Final = 64
"""Objects within objects; nothing that makes sense is deeper."""
_UNKNOWN: Final = 32
"""Fields of one object beyond those that it may have; pydantic complains of each."""


def few_fields(model: type[Any], value: Any) -> Any:
    """For `model_validator(mode="before")`."""
    if isinstance(value, Mapping) and len(value) > len(model.model_fields) + _UNKNOWN:
        raise PydanticCustomError(
            "too_many_fields", "{count} fields are more than there are", {"count": len(value)}
        )
    return value


def too_many(raw: Any) -> bool:
    """Without recursion: whoever sends such things hopes for that."""
    level, values = [raw], 0
    while level:
        values += len(level)
        if values > VALUES:
            return True
        level = _below(level)
    return False


def too_deep(raw: Any) -> bool:
    """Without recursion, as `too_many`."""
    level, depth = [raw], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            return True
        level = [value for value in _below(level) if isinstance(value, dict | list)]
    return False


def _below(level: list[Any]) -> list[Any]:
    """Returns the values one level below these, and at most a few more than the bound."""
    below: list[Any] = []
    for value in level:
        if isinstance(value, dict):
            below += value.values()
        elif isinstance(value, list):
            below += value
        if len(below) > VALUES:
            break
    return below
