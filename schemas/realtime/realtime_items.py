"""The items of a Realtime conversation, as clients send them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from schemas.bounds import FewFields
from schemas.openai.parameter_support import Cleaned
from schemas.settings.model_settings import ARGUMENT_CHARS, CallId, FunctionName

ItemId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
TEXT_CHARS: Final = 20_000
"""Of one part; as much as a prompt may have."""
_PARTS: Final = 64
Text = Annotated[Cleaned, Field(max_length=TEXT_CHARS)]
Status = Literal["completed", "incomplete", "in_progress"]


class RealtimeModel(FewFields):
    """Base of Realtime clients' objects: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def kind_of(value: Any) -> str | None:
    """The tag of a part by its `type`."""
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return f":{kind}" if isinstance(kind, str) else None


class InputText(RealtimeModel):
    type: Literal["input_text"]
    text: Text


class RealtimeInputAudio(RealtimeModel):
    """Sound that was said elsewhere; without a transcript it is written down."""

    type: Literal["input_audio"]
    transcript: Text | None = None
    audio: str | None = None
    """In the session's input format. Not kept."""


class OutputText(RealtimeModel):
    type: Literal["output_text"]
    text: Text


class OutputAudio(RealtimeModel):
    type: Literal["output_audio"]
    transcript: Text
    audio: str | None = None
    """Not kept."""


UserPart = Annotated[
    Annotated[InputText, Tag(":input_text")] | Annotated[RealtimeInputAudio, Tag(":input_audio")],
    Discriminator(
        kind_of,
        custom_error_type="unsupported",
        custom_error_message="users say input_text or input_audio; images are not supported",
    ),
]
AssistantPart = Annotated[
    Annotated[OutputText, Tag(":output_text")] | Annotated[OutputAudio, Tag(":output_audio")],
    Discriminator(
        kind_of,
        custom_error_type="unsupported",
        custom_error_message="assistants say output_text or output_audio",
    ),
]


class _Item(RealtimeModel):
    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Status | None = None


class SystemMessage(_Item):
    type: Literal["message"]
    role: Literal["system"]
    content: tuple[InputText, ...] = Field(fail_fast=True, min_length=1, max_length=_PARTS)


class UserMessage(_Item):
    type: Literal["message"]
    role: Literal["user"]
    content: tuple[UserPart, ...] = Field(fail_fast=True, min_length=1, max_length=_PARTS)


class AssistantMessage(_Item):
    type: Literal["message"]
    role: Literal["assistant"]
    content: tuple[AssistantPart, ...] = Field(fail_fast=True, min_length=1, max_length=_PARTS)


class FunctionCallItem(_Item):
    type: Literal["function_call"]
    name: FunctionName
    arguments: Annotated[Cleaned, Field(max_length=ARGUMENT_CHARS)]
    call_id: CallId


class FunctionCallOutput(_Item):
    type: Literal["function_call_output"]
    call_id: CallId
    output: Text


class ItemReference(RealtimeModel):
    """In the input of a response: an item that is there already."""

    type: Literal["item_reference"]
    id: ItemId


def _tag(value: Any) -> str | None:
    kind = kind_of(value)
    role = value.get("role") if isinstance(value, Mapping) else getattr(value, "role", None)
    return f":{role}" if kind == ":message" and isinstance(role, str) else kind


_ONLY: Final = (
    "items are a message of system, user or assistant, a function_call or a function_call_output; "
    "MCP is not supported"
)
Item = Annotated[
    Annotated[SystemMessage, Tag(":system")]
    | Annotated[UserMessage, Tag(":user")]
    | Annotated[AssistantMessage, Tag(":assistant")]
    | Annotated[FunctionCallItem, Tag(":function_call")]
    | Annotated[FunctionCallOutput, Tag(":function_call_output")],
    Discriminator(_tag, custom_error_type="unsupported", custom_error_message=_ONLY),
]
InputItem = Annotated[
    Annotated[SystemMessage, Tag(":system")]
    | Annotated[UserMessage, Tag(":user")]
    | Annotated[AssistantMessage, Tag(":assistant")]
    | Annotated[FunctionCallItem, Tag(":function_call")]
    | Annotated[FunctionCallOutput, Tag(":function_call_output")]
    | Annotated[ItemReference, Tag(":item_reference")],
    Discriminator(_tag, custom_error_type="unsupported", custom_error_message=_ONLY),
]


def stored(item: BaseModel) -> dict[str, Any]:
    """As it is recorded and shown: without its id and its sound."""
    stored_item = item.model_dump(mode="json", exclude={"id", "object", "status"}, exclude_none=True)
    for part in stored_item.get("content", ()):
        part.pop("audio", None)
    return stored_item
