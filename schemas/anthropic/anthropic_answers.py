"""Errors as Anthropic's clients read them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class AnthropicErrorObject(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    message: str


class AnthropicError(BaseModel):
    """In place of an answer, or as an event of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["error"]
    error: AnthropicErrorObject
