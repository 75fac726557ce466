"""Answers to OpenAI's clients."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ErrorObject(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAiError(BaseModel):
    """In place of an answer, or as an event of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: ErrorObject


class Embedding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Of length 1; as a text: float32 in little-endian order, in base64."""


class EmbeddingUsage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """One vector for each text, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
