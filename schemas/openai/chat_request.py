"""`POST /v1/chat/completions`: what may be asked for, field by field."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from schemas.native.client_commands import Readable
from schemas.openai.chat_messages import MESSAGES, ChatCompletionMessage
from schemas.openai.parameter_support import (
    Cleaned,
    FromOpenAi,
    OpenAiRequest,
    missing,
    refused,
    together,
    unsupported_value,
)
from schemas.settings import SessionName
from schemas.settings.model_settings import DESCRIPTION_CHARS, FUNCTIONS, FunctionName
from schemas.settings.retrieval_settings import SearchToolConfig

AudioFormat = Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
_TIERS: Final = (None, "auto", "default")


def _one(value: Any) -> Any:
    if isinstance(value, int) and value > 1:
        raise unsupported_value("one choice is made at a time: 'n' is 1")
    return value


def known_tier(value: Any) -> Any:
    if isinstance(value, str) and value not in _TIERS:
        raise unsupported_value(f"there is no service tier '{value[:40]}' here; leave it out, or say 'auto'")
    return value


def function_alone(value: Any) -> Any:
    if isinstance(value, str) and value != "function":
        raise unsupported_value("tools are functions here")
    return value


def a_choice(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") in ("allowed_tools", "custom"):
        raise unsupported_value(f"a choice of type '{value['type']}' is not supported here")
    return value


def _stops(value: Any) -> Any:
    return () if value is None else (value,) if isinstance(value, str) else value


class FunctionDefinition(FromOpenAi):
    name: FunctionName
    description: Annotated[Cleaned, Field(max_length=DESCRIPTION_CHARS)] | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None
    """Not promised: the model may call with arguments of another shape."""


class ToolOffer(FromOpenAi):
    type: Annotated[Literal["function"], BeforeValidator(function_alone)]
    function: FunctionDefinition


class NamedFunction(FromOpenAi):
    name: FunctionName


class NamedChoice(FromOpenAi):
    type: Literal["function"]
    function: NamedFunction


class VoiceId(FromOpenAi):
    id: Annotated[str, Field(min_length=1, max_length=64)]


VoiceName = Annotated[str, Field(min_length=1, max_length=64)] | VoiceId


def voice_name(voice: "VoiceName") -> str:
    return voice if isinstance(voice, str) else voice.id


class AudioWish(FromOpenAi):
    """How the answer is to be spoken."""

    voice: VoiceName
    format: AudioFormat


class StreamOptions(FromOpenAi):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SchemaFormat(FromOpenAi):
    name: FunctionName
    description: str | None = None
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class AnswerFormat(FromOpenAi):
    """Format of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise missing("json_schema")
        return self

    @property
    def held_to(self) -> dict[str, JsonValue] | None:
        """The schema of the answer; None: it is free."""
        if self.type == "text":
            return None
        given = self.json_schema.json_schema if self.json_schema else None
        return given or {"type": "object"}


class RhapsodeWishes(FromOpenAi):
    """Fields beyond OpenAI's. Unknown fields are refused: these names are ours."""

    model_config = ConfigDict(extra="forbid")

    collections: Annotated[tuple[SessionName, ...], Field(max_length=16, strict=False, fail_fast=True)] = ()
    """Collections that are searched for passages."""
    search: SearchToolConfig | None = None


Temperature = Annotated[float, Field(ge=0, le=2)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
_Stops = Annotated[
    tuple[Annotated[Readable, Field(min_length=1, max_length=200)], ...],
    Field(max_length=4, strict=False, fail_fast=True),
]
_Tools = Annotated[tuple[ToolOffer, ...], Field(max_length=FUNCTIONS, strict=False, fail_fast=True)]
_Modalities = Annotated[
    tuple[Literal["text", "audio"], ...], Field(min_length=1, max_length=8, strict=False, fail_fast=True)
]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16, fail_fast=True),
]
Limit = Annotated[int, Field(ge=1, le=2**31)]


class ChatCompletionRequest(OpenAiRequest):
    """One answer in a conversation that the client keeps."""

    messages: Annotated[
        tuple[ChatCompletionMessage, ...],
        Field(min_length=1, max_length=MESSAGES, strict=False, fail_fast=True),
    ]
    model: Annotated[str, Field(min_length=1, max_length=256)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[Literal[1] | None, BeforeValidator(_one)] = None
    stop: Annotated[_Stops, BeforeValidator(_stops)] = ()
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    tools: _Tools | None = None
    tool_choice: Annotated[
        Literal["none", "auto", "required"] | NamedChoice | None, BeforeValidator(a_choice)
    ] = None
    parallel_tool_calls: bool | None = None
    modalities: _Modalities | None = None
    audio: AudioWish | None = None
    metadata: Metadata | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    response_format: AnswerFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    store: bool | None = None
    service_tier: Annotated[Literal["auto", "default"] | None, BeforeValidator(known_tier)] = None
    prediction: Any = None
    logprobs: Annotated[Any, refused("logprobs", False)] = None
    top_logprobs: Annotated[Any, refused("top_logprobs", 0)] = None
    logit_bias: Annotated[Any, refused("logit_bias", {})] = None
    web_search_options: Annotated[Any, refused("web_search_options")] = None
    functions: Annotated[Any, refused("functions", [])] = None
    function_call: Annotated[Any, refused("function_call", "none")] = None
    moderation: Annotated[Any, refused("moderation")] = None
    rhapsode: RhapsodeWishes | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.speaks and self.audio is None:
            raise missing("audio")
        if self.audio is not None and not self.speaks:
            raise together("modalities", '\'audio\' goes with modalities ["text", "audio"]')
        if self.tool_choice not in (None, "none", "auto") and not self.tools:
            raise together("tool_choice", "'tool_choice' goes with 'tools'")
        return self

    @property
    def speaks(self) -> bool:
        return "audio" in (self.modalities or ())

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)
