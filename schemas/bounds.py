"""How much JSON is taken at all: what is wrong with it is told once, not once for each of its values."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError

VALUES: Final = 50_000
"""In one request or event; those that make sense have a tenth of it."""
DEEPEST: Final = 64
"""Objects within objects; nothing that makes sense is deeper."""
_UNKNOWN: Final = 32
"""Fields of one object beyond those that it may have; pydantic complains of each."""


class FewFields(BaseModel):
    """Base of what clients send: of an object with far too many fields one thing is told, not each field."""

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and len(value) > len(cls.model_fields) + _UNKNOWN:
            raise PydanticCustomError(
                "too_many_fields", "{count} fields are more than there are", {"count": len(value)}
            )
        return value


def too_many_in(text: bytes) -> bool:
    """Whether a JSON text has more values than `VALUES` before it is read, as far as a count of its commas,
    brackets and strings tells; it has not, where `too_many` lets the value through.

    Reading ten million bytes of empty lists takes four seconds, in which no other thread has its turn.
    """
    most = 3 * VALUES
    if _separators(text, 0, len(text)) <= most:
        return False
    bare = text.replace(rb"\\", b"").replace(rb"\"", b"")  # each quote begins a string or ends it
    found = at = 0
    while found <= most and at < len(bare):
        begin = _or_end(bare, bare.find(b'"', at))
        found += max(1, _separators(bare, at, begin))
        at = _or_end(bare, bare.find(b'"', begin + 1)) + 1
    return found > most


def _separators(text: bytes, begin: int, end: int) -> int:
    return sum(text.count(sign, begin, end) for sign in (b",", b"[", b"{"))


def _or_end(text: bytes, place: int) -> int:
    return len(text) if place < 0 else place


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
