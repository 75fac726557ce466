"""Settings of a language model beside the question: sampling, and the functions that it may call."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.bounds import FewFields

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CallId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Choice = Annotated[str, Field(pattern=r"^(auto|none|required|function:[a-zA-Z0-9_-]{1,64})$")]
"""`auto`: as the model likes. `none`, `required`: never, at least once. `function:name`: this one."""

FUNCTIONS = 128
"""As many as OpenAI takes."""
DESCRIPTION_CHARS = 8_000
"""Of one function; all of them together have a limit, too (schemas.native.client_commands)."""
ARGUMENT_CHARS = 16_000
"""The longest arguments of one call."""
OUTPUT_CHARS = 16_000
"""The longest result of one call; more is cut off."""


class _Chat(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class SamplingSettings(_Chat):
    """How the model chooses its words, beside `temperature`. None: as the engine likes."""

    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stop: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(default=(), max_length=4)
    """The answer ends before any of these."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    json_schema: dict[str, JsonValue] | None = None
    """The answer is one JSON document of this schema."""


class FunctionOffer(FewFields, _Chat):
    """A function that the model may call, as it is told of it."""

    name: FunctionName
    description: str = Field(default="", max_length=DESCRIPTION_CHARS)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """A JSON schema of its arguments."""


class ToolSettings(_Chat):
    """Functions that the model may call while it answers."""

    registered: tuple[FunctionName, ...] = Field(default=(), max_length=64)
    """Functions that this server knows and calls itself."""
    functions: tuple[FunctionOffer, ...] = Field(default=(), max_length=FUNCTIONS)
    """Functions that the client calls: the turn ends with that, and the result comes with the next one."""
    choice: Choice = "auto"
    parallel: bool = True
    """May the model call several at once?"""


class FunctionCall(_Chat):
    """The model wants this called."""

    call: CallId
    name: str = Field(max_length=64)
    arguments: str = Field(default="{}", max_length=ARGUMENT_CHARS)
    """JSON, as the model wrote it: it may be wrong."""


class GivenMessage(_Chat):
    """One message of a conversation that the client keeps itself."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: tuple[FunctionCall, ...] = ()
    """Of the assistant."""
    call: str | None = None
    """Of a tool: the call that it answers."""
