"""The input items of a response, as OpenAI's clients write them."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from schemas.openai.chat_messages import PARTS
from schemas.openai.parameter_support import Cleaned, FromOpenAi, missing, together, unsupported_value
from schemas.settings.model_settings import ARGUMENT_CHARS

_ID_CHARS: Final = 20_000
"""Longest id of a call: some models put their reasoning into it."""
_PARTS: Final = frozenset({"input_text", "output_text", "text", "refusal"})
_ITEMS: Final = ("message", "function_call", "function_call_output", "item_reference", "reasoning")


def _part_type(value: Any) -> Any:
    if isinstance(value, str) and value not in _PARTS:
        raise unsupported_value(f"parts of type '{value[:40]}' are not understood here")
    return value


def _parts(value: Any) -> Any:
    """A plain text is one part."""
    return ({"type": "input_text", "text": value},) if isinstance(value, str) else value


def _item_type(value: Any) -> Any:
    if isinstance(value, str) and value not in _ITEMS:
        raise unsupported_value(f"items of type '{value[:40]}' are not understood here")
    return value


class ResponseContentPart(FromOpenAi):
    """A piece of a message, or of a function's result."""

    type: Annotated[Literal["input_text", "output_text", "text", "refusal"], BeforeValidator(_part_type)]
    text: Cleaned | None = None
    refusal: Cleaned | None = None

    @model_validator(mode="after")
    def _holds_its_text(self) -> Self:
        if (self.refusal if self.type == "refusal" else self.text) is None:
            raise missing("refusal" if self.type == "refusal" else "text")
        return self


_Content = Annotated[
    Annotated[tuple[ResponseContentPart, ...], Field(max_length=PARTS, strict=False, fail_fast=True)],
    BeforeValidator(_parts),
]


class ResponseItemParam(FromOpenAi):
    """One item: a message, a call, its result, or the id of an item that is here."""

    type: Annotated[
        Literal["message", "function_call", "function_call_output", "item_reference", "reasoning"],
        BeforeValidator(_item_type),
    ]
    id: Annotated[str, Field(max_length=200)] | None = None
    role: Literal["user", "system", "developer", "assistant"] | None = None
    content: _Content | None = None
    call_id: Annotated[str, Field(min_length=1, max_length=_ID_CHARS)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    arguments: Annotated[Cleaned, Field(max_length=ARGUMENT_CHARS)] | None = None
    output: _Content | None = None

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, value: Any) -> Any:
        """Messages and references may leave their type out; reasoning is not read at all."""
        if not isinstance(value, dict):
            return value
        if value.get("type") is None:
            value = value | {"type": "message" if "role" in value else "item_reference"}
        return {"type": "reasoning"} if value["type"] == "reasoning" else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = {
            "message": ("role", "content"),
            "function_call": ("call_id", "name", "arguments"),
            "function_call_output": ("call_id", "output"),
            "item_reference": ("id",),
        }
        for name in needed.get(self.type, ()):
            if getattr(self, name) is None:
                raise missing(name)
        return self

    @property
    def words(self) -> str:
        """The text of its content or output; a paragraph for each part."""
        parts = self.content or self.output or ()
        return "\n".join(filter(None, (part.text or part.refusal for part in parts)))


def stored_item(item: ResponseItemParam, call: str) -> dict[str, JsonValue]:
    """An item as `item.added` holds it; `call`: the id of its call in the log."""
    match item.type:
        case "function_call":
            name, arguments = item.name or "", item.arguments or ""
            return {"type": item.type, "call_id": call, "name": name, "arguments": arguments}
        case "function_call_output":
            return {"type": item.type, "call_id": call, "output": item.words}
        case "message":
            role = "system" if item.role == "developer" else item.role
            kind = "output_text" if role == "assistant" else "input_text"
            return {"type": item.type, "role": role, "content": [{"type": kind, "text": item.words}]}
        case _:
            raise together("input", f"an item of type '{item.type}' is not kept")
