"""The messages of a chat completion, as OpenAI's clients write them."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.openai.parameter_support import (
    Cleaned,
    FromOpenAi,
    missing,
    refused,
    together,
    unsupported_value,
)
from schemas.settings.model_settings import ARGUMENT_CHARS

MESSAGES: Final = 2_048
PARTS: Final = 100
_ID_CHARS: Final = 20_000
"""Of a call; some models put what they thought into its id."""
_KNOWN_PARTS: Final = frozenset({"image_url", "file", "audio", "image", "video_url"})
"""Parts of messages that others understand, and we do not."""


def _parts(value: Any) -> Any:
    """A plain text is one part."""
    return ({"type": "text", "text": value},) if isinstance(value, str) else value


def _part_type(value: Any) -> Any:
    if isinstance(value, str) and value in _KNOWN_PARTS:
        raise unsupported_value(f"parts of type '{value}' are not understood here")
    return value


class ContentPart(FromOpenAi):
    """A piece of a message."""

    class InputAudio(FromOpenAi):
        """Something that was said."""

        data: str
        """Base64."""
        format: Literal["wav", "mp3"]

    type: Annotated[Literal["text", "input_audio", "refusal"], BeforeValidator(_part_type)]
    text: Cleaned | None = None
    refusal: Cleaned | None = None
    input_audio: InputAudio | None = None
    image_url: Any = None
    file: Any = None
    prompt_cache_breakpoint: Any = None

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> Self:
        if getattr(self, self.type) is None:
            raise missing(self.type)
        return self

    @property
    def words(self) -> str:
        return self.text or self.refusal or ""


class CalledFunction(FromOpenAi):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    arguments: Annotated[Cleaned, Field(max_length=ARGUMENT_CHARS)]


class ToolCallMade(FromOpenAi):
    """A call that the model made earlier."""

    id: Annotated[str, Field(min_length=1, max_length=_ID_CHARS)]
    type: Literal["function"]
    function: CalledFunction
    index: int | None = None


class SpokenAnswer(FromOpenAi):
    """An earlier answer that was spoken, by the id that it was given."""

    id: Annotated[str, Field(max_length=100)]
    data: Any = None
    transcript: Any = None
    expires_at: Any = None


_Parts = Annotated[tuple[ContentPart, ...], Field(max_length=PARTS, strict=False, fail_fast=True)]
_Calls = Annotated[tuple[ToolCallMade, ...], Field(max_length=128, strict=False, fail_fast=True)]


class ChatCompletionMessage(FromOpenAi):
    """One message of the conversation that the client keeps."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Annotated[_Parts | None, BeforeValidator(_parts)] = None
    name: Annotated[Cleaned, Field(max_length=64)] | None = None
    refusal: Cleaned | None = None
    tool_calls: _Calls | None = None
    tool_call_id: Annotated[str, Field(max_length=_ID_CHARS)] | None = None
    audio: SpokenAnswer | None = None
    annotations: Any = None
    """Of an answer that is sent back; they change nothing."""
    function_call: Annotated[Any, refused("function_call")] = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        answered = self.role == "assistant"
        empty = self.role == "tool" or (answered and (self.tool_calls or self.audio or self.refusal))
        if self.content is None and not empty:
            raise missing("content")
        if self.role == "tool" and self.tool_call_id is None:
            raise missing("tool_call_id")
        if self.tool_calls and not answered:
            raise together("tool_calls", "tool_calls belong to messages of the assistant")
        if self.role != "user" and any(part.type == "input_audio" for part in self.content or ()):
            raise together("content", "only a user's message holds input_audio")
        return self

    @property
    def words(self) -> str:
        """Its text parts; a paragraph each."""
        return "\n".join(part.words for part in self.content or () if part.words) or self.refusal or ""
