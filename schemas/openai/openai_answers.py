"""Answers to OpenAI's clients."""

from typing import Literal

from schemas.document_models import ClosedModel


class ErrorObject(ClosedModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAiError(ClosedModel):
    """In place of an answer, or as an event of one."""

    error: ErrorObject


class Embedding(ClosedModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Of length 1; as a text: float32 in little-endian order, in base64."""


class EmbeddingUsage(ClosedModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(ClosedModel):
    """One vector for each text, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
