"""`POST /v1/messages` as Anthropic documents it, as far as it is understood here."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.native.client_commands import Readable
from schemas.openai.chat_messages import MESSAGES, PARTS
from schemas.openai.chat_request import Limit, RhapsodeWishes
from schemas.openai.parameter_support import (
    Cleaned,
    FromOpenAi,
    OpenAiRequest,
    missing,
    refused,
    unsupported_value,
)
from schemas.settings.model_settings import DESCRIPTION_CHARS, FUNCTIONS, FunctionName

_ID_CHARS: Final = 256
_THOUGHTS: Final = ("thinking", "redacted_thinking")
"""Blocks that a client sends back from another model's answer; they are passed over."""
_NEEDS: Final = {
    "text": ("text",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
}
_ROLES: Final = {"tool_use": "assistant", "tool_result": "user"}
_EFFECTLESS: Final = ("thinking", "top_k", "metadata", "service_tier", "cache_control")


def _blocks(value: Any) -> Any:
    """A plain text is one block."""
    return ({"type": "text", "text": value},) if isinstance(value, str) else value


def _block_type(value: Any) -> Any:
    if isinstance(value, str) and value not in (*_NEEDS, *_THOUGHTS):
        raise unsupported_value(f"blocks of type '{value}' are not understood here")
    return value


def _tool_type(value: Any) -> Any:
    if isinstance(value, str) and value != "custom":
        raise unsupported_value(
            f"tools of type '{value}' are not here: tools are functions with an 'input_schema'"
        )
    return value


def _invalid(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_together", "{told}", {"told": message})


class TextBlock(FromOpenAi):
    """A text of the system prompt, or of a tool's result."""

    type: Annotated[Literal["text"], BeforeValidator(_block_type)]
    text: Cleaned


_Texts = Annotated[tuple[TextBlock, ...], Field(max_length=PARTS, strict=False, fail_fast=True)]


class ContentBlock(FromOpenAi):
    """Part of a message."""

    type: Annotated[
        Literal["text", "tool_use", "tool_result", "thinking", "redacted_thinking"],
        BeforeValidator(_block_type),
    ]
    text: Cleaned | None = None
    id: Annotated[str, Field(min_length=1, max_length=_ID_CHARS)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    input: dict[str, JsonValue] | None = None
    tool_use_id: Annotated[str, Field(min_length=1, max_length=_ID_CHARS)] | None = None
    content: Annotated[_Texts, BeforeValidator(_blocks)] = ()
    """Of a tool's result."""
    is_error: bool | None = None

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> Self:
        for field in _NEEDS.get(self.type, ()):
            if getattr(self, field) is None:
                raise missing(field)
        return self


_Content = Annotated[tuple[ContentBlock, ...], Field(max_length=PARTS, strict=False, fail_fast=True)]


class InputMessage(FromOpenAi):
    """One message of the conversation that the client keeps."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[_Content, BeforeValidator(_blocks)]

    @model_validator(mode="after")
    def _blocks_of_its_role(self) -> Self:
        for block in self.content:
            if _ROLES.get(block.type, self.role) != self.role:
                raise _invalid(f"a '{block.type}' block stands in messages of the {_ROLES[block.type]} only")
        return self

    def of_type(self, kind: str) -> Iterator[ContentBlock]:
        return (block for block in self.content if block.type == kind)


class ToolDefinition(FromOpenAi):
    """A function that the client carries out."""

    type: Annotated[Literal["custom"] | None, BeforeValidator(_tool_type)] = None
    name: FunctionName
    description: Annotated[Cleaned, Field(max_length=DESCRIPTION_CHARS)] | None = None
    input_schema: dict[str, JsonValue]


class ToolSelection(FromOpenAi):
    """The calls that the model may make."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _names_its_tool(self) -> Self:
        if self.type == "tool" and self.name is None:
            raise missing("name")
        return self


class OutputFormat(FromOpenAi):
    type: Literal["json_schema"]
    json_schema: dict[str, JsonValue] = Field(alias="schema")


class OutputConfig(FromOpenAi):
    """Format of the answer; the effort changes nothing."""

    format: OutputFormat | None = None


class MessagesRequest(OpenAiRequest):
    """One answer in a conversation that the client keeps."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    max_tokens: Limit
    thread: Annotated[Any, refused("thread")] = None
    """A conversation that the server keeps: the SDKs' tool runner asks for one, and goes on without it."""
    messages: Annotated[
        tuple[InputMessage, ...], Field(min_length=1, max_length=MESSAGES, strict=False, fail_fast=True)
    ]
    system: Annotated[_Texts, BeforeValidator(_blocks)] = ()
    stream: bool | None = None
    stop_sequences: Annotated[
        tuple[Annotated[Readable, Field(min_length=1, max_length=200)], ...],
        Field(max_length=4, strict=False, fail_fast=True),
    ] = ()
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    tools: Annotated[
        tuple[ToolDefinition, ...], Field(max_length=FUNCTIONS, strict=False, fail_fast=True)
    ] = ()
    tool_choice: ToolSelection | None = None
    output_config: OutputConfig | None = None
    thinking: Any = None
    top_k: Any = None
    metadata: Any = None
    service_tier: Any = None
    cache_control: Any = None
    rhapsode: RhapsodeWishes | None = None

    @property
    def effectless(self) -> tuple[str, ...]:
        """Names of known fields that were sent and change nothing."""
        return tuple(name for name in _EFFECTLESS if name in self.model_fields_set)

    @model_validator(mode="after")
    def _results_follow_their_calls(self) -> Self:
        known: set[str | None] = set()
        for number, message in enumerate(self.messages):
            for block in message.of_type("tool_result"):
                if block.tool_use_id not in known:
                    raise _invalid(
                        f"messages.{number}: the 'tool_result' block answers a call ('tool_use') that no "
                        "message before it holds"
                    )
            known |= {block.id for block in message.of_type("tool_use")}
        chosen = self.tool_choice
        if chosen is not None and chosen.type in ("any", "tool"):
            if not self.tools:
                raise _invalid("tool_choice: it goes with 'tools'")
            if chosen.type == "tool" and chosen.name not in {tool.name for tool in self.tools}:
                raise _invalid(f"tool_choice: {chosen.name!r} is not among the tools")
        return self
