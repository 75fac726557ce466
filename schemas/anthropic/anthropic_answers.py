"""Errors as Anthropic's clients read them."""

from typing import Literal

from pydantic import JsonValue

from schemas.document_models import ClosedModel


class AnthropicErrorObject(ClosedModel):
    type: str
    message: str
    details: dict[str, JsonValue] | None = None
    """`{"error_code", "unsupported"}` of a refused `thread`."""


class AnthropicError(ClosedModel):
    """In place of an answer, or as an event of one."""

    type: Literal["error"]
    error: AnthropicErrorObject
