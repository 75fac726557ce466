"""What OpenAI's clients are told when something is wrong."""

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
