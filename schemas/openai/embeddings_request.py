"""`POST /v1/embeddings`: what may be asked for, field by field."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from schemas.openai.parameter_support import Cleaned, OpenAiRequest, unsupported_value

INPUTS: Final = 2_048
"""Texts of one request, as at OpenAI."""


def _texts(value: Any) -> Any:
    """A single text is one of several. Tokens are refused: they are numbers of another model's words."""
    if isinstance(value, list) and value and isinstance(value[0], list | int):
        raise unsupported_value("texts are taken, not tokens; LangChain: check_embedding_ctx_length=False")
    return [value] if isinstance(value, str) else value


class EmbeddingsRequest(OpenAiRequest):
    """Texts, each of which gets a vector."""

    input: Annotated[
        tuple[Annotated[Cleaned, Field(min_length=1)], ...],
        Field(min_length=1, max_length=INPUTS, strict=False, fail_fast=True),
        BeforeValidator(_texts),
    ]
    model: Annotated[str, Field(min_length=1, max_length=256)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
