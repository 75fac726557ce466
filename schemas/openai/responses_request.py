"""`POST /v1/responses`: what may be asked for, field by field."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from schemas.openai.chat_messages import MESSAGES
from schemas.openai.chat_request import (
    Limit,
    Metadata,
    RhapsodeWishes,
    StreamOptions,
    Temperature,
    a_choice,
    function_alone,
    known_tier,
)
from schemas.openai.parameter_support import Cleaned, FromOpenAi, OpenAiRequest, missing, refused, together
from schemas.openai.response_items import ResponseItemParam
from schemas.settings.model_settings import DESCRIPTION_CHARS, FUNCTIONS, FunctionName


def _items(value: Any) -> Any:
    """A plain text is a message of the user."""
    return ({"role": "user", "content": value},) if isinstance(value, str) else value


class ResponseTool(FromOpenAi):
    """A function that the client calls; here its fields stand beside its type."""

    type: Annotated[Literal["function"], BeforeValidator(function_alone)]
    name: FunctionName
    description: Annotated[Cleaned, Field(max_length=DESCRIPTION_CHARS)] | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None

    @property
    def function(self) -> "ResponseTool":
        return self


class ResponseToolChoice(FromOpenAi):
    """One function that must be called."""

    type: Literal["function"]
    name: FunctionName

    @property
    def function(self) -> "ResponseToolChoice":
        return self


class ResponseTextFormat(FromOpenAi):
    """Format of the answer; here the schema's fields stand beside its type."""

    type: Literal["text", "json_object", "json_schema"]
    name: FunctionName | None = None
    description: Cleaned | None = None
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and (self.json_schema is None or self.name is None):
            raise missing("name" if self.name is None else "schema")
        return self

    @property
    def held_to(self) -> dict[str, JsonValue] | None:
        """The schema of the answer; None: it is free."""
        return None if self.type == "text" else self.json_schema or {"type": "object"}


class ResponseTextConfig(FromOpenAi):
    format: ResponseTextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


_Tools = Annotated[tuple[ResponseTool, ...], Field(max_length=FUNCTIONS, strict=False, fail_fast=True)]


class ResponsesRequest(OpenAiRequest):
    """One response, alone or after another one."""

    input: Annotated[
        tuple[ResponseItemParam, ...],
        Field(min_length=1, max_length=MESSAGES, strict=False, fail_fast=True),
        BeforeValidator(_items),
    ]
    model: Annotated[str, Field(min_length=1, max_length=256)]
    instructions: Cleaned | None = None
    previous_response_id: Annotated[str, Field(max_length=200)] | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Limit | None = None
    temperature: Temperature | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: ResponseTextConfig | None = None
    tools: _Tools | None = None
    tool_choice: Annotated[
        Literal["none", "auto", "required"] | ResponseToolChoice | None, BeforeValidator(a_choice)
    ] = None
    parallel_tool_calls: bool | None = None
    metadata: Metadata | None = None
    reasoning: Any = None
    truncation: Literal["auto", "disabled"] | None = None
    include: Any = None
    max_tool_calls: Limit | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    service_tier: Annotated[Literal["auto", "default"] | None, BeforeValidator(known_tier)] = None
    top_logprobs: Annotated[Any, refused("top_logprobs", 0)] = None
    conversation: Annotated[Any, refused("conversation")] = None
    prompt: Annotated[Any, refused("prompt")] = None
    context_management: Annotated[Any, refused("context_management", [])] = None
    moderation: Annotated[Any, refused("moderation")] = None
    rhapsode: RhapsodeWishes | None = None

    seed: ClassVar[int | None] = None
    stop: ClassVar[tuple[str, ...]] = ()
    presence_penalty: ClassVar[float | None] = None
    frequency_penalty: ClassVar[float | None] = None
    """Fields that only chat completions have."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.tool_choice not in (None, "none", "auto") and not self.tools:
            raise together("tool_choice", "'tool_choice' goes with 'tools'")
        if self.background and not self.stored:
            raise together("background", "a response in the background is stored: leave 'store' out")
        return self

    @property
    def stored(self) -> bool:
        return self.store is not False

    @property
    def limit(self) -> int | None:
        return self.max_output_tokens

    @property
    def response_format(self) -> ResponseTextFormat | None:
        return self.text.format if self.text else None
