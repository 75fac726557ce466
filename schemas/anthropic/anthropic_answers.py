"""Errors as Anthropic's clients read them."""

from typing import Literal

from schemas.document_models import ClosedModel


class AnthropicErrorObject(ClosedModel):
    type: str
    message: str


class AnthropicError(ClosedModel):
    """In place of an answer, or as an event of one."""

    type: Literal["error"]
    error: AnthropicErrorObject
