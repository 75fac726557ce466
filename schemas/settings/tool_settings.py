"""Functions that this server calls for the language model, as the operator registers them."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, field_validator, model_validator

from schemas.languages import LanguageTag
from schemas.settings.model_settings import FunctionName
from schemas.settings.provider_settings import plain_address

Filler = Annotated[str, Field(max_length=200)]
Fillers = dict[LanguageTag, Filler]
FILLERS: Final[Fillers] = {"en": "One moment, please.", "de": "Einen Moment, bitte."}


class _Tools(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class RegisteredFunction(_Tools):
    """One function: somewhere at an address, or in a Python package beside ours."""

    url: str | None = None
    """Gets `POST` with {"call", "name", "arguments", "session"} and the header `Idempotency-Key`, which is
    the same when a call is made again after a crash; its answer's body is the result."""
    entry_point: str | None = Field(default=None, pattern=r"^[\w.]+:[\w.]+$")
    """`package.module:function`, plain or async. Its parameters are the arguments, its result is told."""
    description: str = Field(default="", max_length=2_000)
    """Description for the model; empty: the Python function's docstring."""
    parameters: dict[str, JsonValue] | None = None
    """A JSON schema of the arguments; None: from the Python function's annotations, or none at all."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    headers: dict[str, SecretStr] = {}
    """Sent to `url`, as a key."""
    filler: Fillers | None = None
    """Spoken text while it takes long, by language; None: as for all."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None:
            plain_address(url.partition("?")[0])
        return url

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.url is None) == (self.entry_point is None):
            raise ValueError("give either url or entry_point")
        return self


class FunctionHouseSettings(_Tools):
    """Functions that a model may call, and their bounds."""

    functions: dict[FunctionName, RegisteredFunction] = {}
    """By the names that models and sessions use (`session.tools.registered`)."""
    rounds: int = Field(default=4, ge=1, le=32)
    """So often the model may ask for calls within one answer; then it has to answer with what it has."""
    at_once: int = Field(default=8, ge=1, le=64)
    """Calls of one answer that run side by side; the others wait."""
    calls: int = Field(default=16, ge=1, le=64)
    """Calls of one round; the model is told that further ones were not made."""
    filler_after_ms: int = Field(default=800, ge=0, le=60_000)
    """A spoken answer says something when calls take longer."""
    fillers: Fillers = FILLERS
    """Spoken text, by language; empty: none."""
