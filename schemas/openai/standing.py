"""What becomes of each field that OpenAI knows: supported, accepted without effect, or refused."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from schemas.bounds import few_fields

Standing = Literal["supported", "accepted", "refused"]
"""`accepted`: it may be there, and changes nothing."""
CODES: Final = frozenset({"unsupported_parameter", "unsupported_value", "missing_required_parameter"})
"""OpenAI's own codes, which our errors carry as they are."""


class FromOpenAi(BaseModel):
    """Of a request: unknown fields are refused, and no value is bent to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        return few_fields(cls, value)


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


def unsupported_value(told: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported_value", "{told}", {"told": told})


def _never(name: str, neutral: Collection[Any]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if any(value is one or (type(value) is type(one) and value == one) for one in neutral):
            return value
        raise unsupported_parameter(name)

    return check


def together(param: str, told: str) -> PydanticCustomError:
    """Fields that do not go together; `param` is the one to change."""
    return PydanticCustomError("invalid_together", "{told}", {"told": told, "param": param})


def missing(param: str) -> PydanticCustomError:
    told = {"told": f"Missing required parameter: '{param}'.", "param": param}
    return PydanticCustomError("missing_required_parameter", "{told}", told)


def refused(name: str, *neutral: Any) -> BeforeValidator:
    """Of a field that is refused, but for None and for values that ask for nothing."""
    return BeforeValidator(_never(name, (None, *neutral)))
