"""The session object of the Realtime API: what clients may change of it, and what it is."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    Tag,
)
from pydantic_core import PydanticCustomError, to_json

from schemas.languages import LanguageChoice
from schemas.native.client_commands import Readable
from schemas.openai.parameter_support import Cleaned
from schemas.realtime.realtime_items import InputItem, ItemId, RealtimeModel, kind_of
from schemas.settings.model_settings import DESCRIPTION_CHARS, FUNCTIONS, FunctionName

INSTRUCTION_CHARS: Final = 8_000
_TOOLS: Final = FUNCTIONS
_METADATA: Final = 16
_TRACING_BYTES: Final = 16_000
"""JSON of `tracing`, which is repeated to the client and kept with a client secret."""


def _not_supported(what: str) -> BeforeValidator:
    """Only null is taken: clients that send everything they know send that."""

    def check(value: Any) -> None:
        if value is not None:
            raise PydanticCustomError("unsupported", f"{what} not supported by this server")

    return BeforeValidator(check)


Modalities = Annotated[
    tuple[Literal["text", "audio"], ...],
    Field(min_length=1, max_length=1, fail_fast=True),
]
"""One of the two, as with OpenAI: sound always comes with its text."""
Tokens = Annotated[StrictInt, Field(ge=1, le=4_096)] | Literal["inf"]
Instructions = Annotated[Cleaned, Field(max_length=INSTRUCTION_CHARS)]


# ---------------------------------------------------------------- audio


class Pcm(RealtimeModel):
    """16-bit little-endian, mono."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class MuLaw(RealtimeModel):
    type: Literal["audio/pcmu"]


class ALaw(RealtimeModel):
    type: Literal["audio/pcma"]


Format = Annotated[
    Annotated[Pcm, Tag(":audio/pcm")]
    | Annotated[MuLaw, Tag(":audio/pcmu")]
    | Annotated[ALaw, Tag(":audio/pcma")],
    Discriminator(
        kind_of,
        custom_error_type="unsupported",
        custom_error_message="formats are audio/pcm at 24000, audio/pcmu and audio/pcma",
    ),
]


class NoiseReduction(RealtimeModel):
    """Taken, and without effect."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = Field(default=None, ge=0, le=1)


class Transcription(RealtimeModel):
    """That it is there makes the transcripts come; who writes them down is this server's affair."""

    model: Annotated[Readable, Field(max_length=128)] | None = None
    language: LanguageChoice | None = None
    prompt: Annotated[Readable, Field(max_length=2_000)] | None = None
    """Without effect."""
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, exclude_if=lambda delay: delay is None
    )
    """Without effect. Told to those only who said it: Pipecat's client takes no such field."""


class _Detection(RealtimeModel):
    create_response: StrictBool = True
    interrupt_response: StrictBool = True


class RealtimeServerVad(_Detection):
    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0.05, le=0.95)
    prefix_padding_ms: StrictInt = Field(default=300, ge=0, le=2_000)
    silence_duration_ms: StrictInt = Field(default=500, ge=100, le=5_000)
    idle_timeout_ms: StrictInt | None = Field(default=None, ge=5_000, le=30_000)


class SemanticVad(_Detection):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


Detection = Annotated[
    Annotated[RealtimeServerVad, Tag(":server_vad")] | Annotated[SemanticVad, Tag(":semantic_vad")],
    Discriminator(
        kind_of,
        custom_error_type="unsupported",
        custom_error_message="turns are detected by server_vad, by semantic_vad, or not at all (null)",
    ),
]


class AudioInputParams(RealtimeModel):
    format: Format | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: Detection | None = None


class RealtimeVoiceId(RealtimeModel):
    id: Annotated[Readable, Field(min_length=1, max_length=64)]


class AudioOutput(RealtimeModel):
    format: Format | None = None
    voice: Annotated[Readable, Field(min_length=1, max_length=64)] | RealtimeVoiceId | None = None
    speed: float | None = Field(default=None, ge=0.5, le=1.5)


class Audio(RealtimeModel):
    input: AudioInputParams | None = None
    output: AudioOutput | None = None


# ---------------------------------------------------------------- tools


class FunctionTool(RealtimeModel):
    type: Literal["function"]
    name: FunctionName
    description: Annotated[Cleaned, Field(max_length=DESCRIPTION_CHARS)] = ""
    parameters: dict[str, JsonValue] | None = None


Tool = Annotated[
    Annotated[FunctionTool, Tag(":function")],
    Discriminator(
        kind_of,
        custom_error_type="unsupported",
        custom_error_message="tools are functions; MCP servers are registered by the operator",
    ),
]


class RealtimeNamedFunction(RealtimeModel):
    type: Literal["function"]
    name: FunctionName


def _choice(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("type") != "function":
        raise PydanticCustomError("unsupported", "only a function can be chosen")
    return value


ToolChoice = Annotated[Literal["auto", "none", "required"] | RealtimeNamedFunction, BeforeValidator(_choice)]


def _differently_named(tools: tuple[FunctionTool, ...]) -> tuple[FunctionTool, ...]:
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise PydanticCustomError("invalid_tools", "a function is named twice")
    return tools


Tools = Annotated[
    tuple[Tool, ...], Field(max_length=_TOOLS, fail_fast=True), AfterValidator(_differently_named)
]


class Reasoning(RealtimeModel):
    """Taken, and without effect."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


# ---------------------------------------------------------------- sessions and responses


class SessionPatch(RealtimeModel):
    """Any part of a conversation's session; what is left out stays."""

    type: Literal["realtime"] = "realtime"
    model: Annotated[Readable, Field(min_length=1, max_length=128)] | None = None
    instructions: Instructions | None = None
    output_modalities: Modalities | None = None
    audio: Audio | None = None
    max_output_tokens: Tokens | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    truncation: Annotated[Literal["auto"] | None, BeforeValidator(lambda value: _truncation(value))] = None
    reasoning: Reasoning | None = None
    tracing: Annotated[JsonValue, AfterValidator(lambda value: _small(value))] = None
    """Taken, and without effect: this server has its own traces."""
    include: Annotated[None, _not_supported("log probabilities are")] = None
    prompt: Annotated[None, _not_supported("prompt templates are")] = None


def _small(value: JsonValue) -> JsonValue:
    if len(to_json(value)) > _TRACING_BYTES:
        raise ValueError(f"may have {_TRACING_BYTES} bytes of JSON")
    return value


def _truncation(value: Any) -> Any:
    if value not in ("auto", None):
        raise PydanticCustomError("unsupported", "only auto is supported")
    return value


class TranscriptionAudio(RealtimeModel):
    input: AudioInputParams | None = None


class TranscriptionPatch(RealtimeModel):
    """Any part of a session that only writes down what is said."""

    type: Literal["transcription"]
    audio: TranscriptionAudio | None = None
    include: Annotated[None, _not_supported("log probabilities are")] = None


class ResponseOutput(RealtimeModel):
    format: Format | None = None
    voice: Annotated[Readable, Field(min_length=1, max_length=64)] | RealtimeVoiceId | None = None


class ResponseAudio(RealtimeModel):
    output: ResponseOutput | None = None


class ResponseWish(RealtimeModel):
    """How one response is to differ from what the session says."""

    conversation: Literal["auto", "none"] = "auto"
    input: Annotated[tuple[InputItem, ...], Field(max_length=256, fail_fast=True)] | None = None
    instructions: Instructions | None = None
    output_modalities: Modalities | None = None
    audio: ResponseAudio | None = None
    max_output_tokens: Tokens | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[Readable, Field(min_length=1, max_length=64)],
                Annotated[Readable, Field(max_length=512)],
            ],
            Field(max_length=_METADATA, fail_fast=True),
        ]
        | None
    ) = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning: Reasoning | None = None
    prompt: Annotated[None, _not_supported("prompt templates are")] = None


__all__ = ["ItemId", "ResponseWish", "SessionPatch", "TranscriptionPatch"]
