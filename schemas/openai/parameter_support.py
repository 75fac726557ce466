"""Support of each field that OpenAI knows: supported, accepted without effect, or refused."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from schemas.bounds import FewFields
from schemas.native.client_commands import UNREADABLE

Standing = Literal["supported", "accepted", "refused"]
"""`accepted`: it may be there, and changes nothing."""
CODES: Final = frozenset({"unsupported_parameter", "unsupported_value", "missing_required_parameter"})
"""OpenAI's own codes, which our errors carry as they are."""


_UNPRINTABLE: Final = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
_NAMES: Final = 16
_NAME_CHARS: Final = 64
_MESSAGE_CHARS: Final = 300
_PIECE_CHARS: Final = 1 << 16
"""Are replaced at a time: no other thread has its turn meanwhile."""


def _cleaned(value: Any) -> Any:
    """Line ends become "\\n", and what cannot be shown a blank: colours, form feeds, half an emoji.

    Clients keep such a message in their history, where a refusal would end the whole conversation.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    pieces = [text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS)]
    return "".join([UNREADABLE.sub(" ", piece) for piece in pieces])


Cleaned = Annotated[str, BeforeValidator(_cleaned)]


class FromOpenAi(FewFields):
    """Part of a request: unknown fields are ignored, and no value is bent to fit."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class OpenAiRequest(FromOpenAi):
    """Whole request; the setting `openai.unknown` says what becomes of its unknown fields."""

    model_config = ConfigDict(extra="allow")

    @property
    def unknown(self) -> tuple[str, ...]:
        """The first names of unknown fields, as they may stand in a header."""
        names = list(self.model_extra or ())[:_NAMES]
        return tuple(_UNPRINTABLE.sub("?", name[:_NAME_CHARS]) for name in names)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is sent, and what becomes of it."""

    field: str
    standing: Standing
    value: Any
    """An example; the tests send it."""
    note: str = ""
    code: str | None = None
    """Of those that are refused: OpenAI's code."""
    param: str | None = None
    """Named by the refusal; None: the field itself."""
    also: tuple[tuple[str, Any], ...] = ()
    """Further fields that the example needs."""


def unsupported_parameter(name: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported_parameter", "'{name}' is not supported here", {"name": name})


def unsupported_value(message: str) -> PydanticCustomError:
    """`message` may repeat what the client wrote: lone surrogates, which no error can hold, become "?"."""
    told = message[:_MESSAGE_CHARS].encode(errors="replace").decode()
    return PydanticCustomError("unsupported_value", "{told}", {"told": told})


def _never(name: str, neutral: Collection[Any]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if any(value is one or (type(value) is type(one) and value == one) for one in neutral):
            return value
        raise unsupported_parameter(name)

    return check


def together(param: str, message: str) -> PydanticCustomError:
    """Fields that do not go together; `param` is the one to change."""
    return PydanticCustomError("invalid_together", "{told}", {"told": message, "param": param})


def missing(param: str) -> PydanticCustomError:
    message = {"told": f"Missing required parameter: '{param}'.", "param": param}
    return PydanticCustomError("missing_required_parameter", "{told}", message)


def refused(name: str, *neutral: Any) -> BeforeValidator:
    """Of a field that is refused, but for None and for values that ask for nothing."""
    return BeforeValidator(_never(name, (None, *neutral)))
