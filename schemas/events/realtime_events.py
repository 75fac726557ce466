"""Events that a Realtime connection adds to a session: its configuration, and changes of its conversation."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from schemas.events.event_model import EventModel as _Event

_Json = dict[str, JsonValue]


class _Read(BaseModel):
    """Fields of free JSON that readers rely on."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Part(_Read):
    text: str | None = None
    transcript: str | None = None


class _Message(_Read):
    type: Literal["message"]
    id: str | None = None
    role: Literal["system", "user", "assistant"]
    content: list[_Part]


class _Call(_Read):
    type: Literal["function_call"]
    id: str | None = None
    call_id: str
    name: str
    arguments: str


class _Result(_Read):
    type: Literal["function_call_output"]
    id: str | None = None
    call_id: str
    output: str


class _Request(_Read):
    background: bool
    previous_response_id: Annotated[str, Field(pattern=r"^resp_[0-9a-f-]{36}_[0-9]{1,15}$")] | None
    store: bool


class _Response(_Read):
    items: Annotated[int, Field(ge=1)]
    request: _Request


_ITEM: Final[TypeAdapter[Any]] = TypeAdapter(
    Annotated[_Message | _Call | _Result, Field(discriminator="type")]
)


def _checked_item(item: _Json) -> _Json:
    _ITEM.validate_python(item)
    return item


class _Transcription(_Read):
    language: str | None = None


class _ServerVad(_Read):
    type: Literal["server_vad"]
    create_response: bool
    interrupt_response: bool
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = None


class _SemanticVad(_Read):
    type: Literal["semantic_vad"]
    create_response: bool
    interrupt_response: bool
    eagerness: Literal["low", "medium", "high", "auto"]


class _Format(_Read):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]


class _Input(_Read):
    format: _Format
    transcription: _Transcription | None
    turn_detection: Annotated[_ServerVad | _SemanticVad, Field(discriminator="type")] | None


class _VoiceId(_Read):
    id: str


class _Output(_Read):
    format: _Format
    voice: str | _VoiceId
    speed: float


class _InputAlone(_Read):
    input: _Input


class _Audio(_InputAlone):
    output: _Output


class _Named(_Read):
    name: str


class _TranscriptionSession(_Read):
    type: Literal["transcription"]
    audio: _InputAlone


class _RealtimeSession(_Read):
    type: Literal["realtime"]
    model: str = ""
    instructions: str
    output_modalities: list[str]
    audio: _Audio
    max_output_tokens: int | Literal["inf"]
    tools: list[_Named]
    tool_choice: str | _Named
    parallel_tool_calls: bool


_SESSION: Final[TypeAdapter[Any]] = TypeAdapter(
    Annotated[_TranscriptionSession | _RealtimeSession, Field(discriminator="type")]
)


def _checked_session(config: _Json) -> _Json:
    _SESSION.validate_python(config)
    return config


def _checked_config(config: _Json) -> _Json:
    if config.get("object") == "response":
        _Response.model_validate(config)
    elif config:  # a chat of the AI SDK has none
        _checked_session(config)
    return config


class RealtimeConfigured(_Event):
    """Realtime connections of this session are told and tell it in these formats from now on."""

    type: Literal["realtime.configured"] = "realtime.configured"
    v: Literal[1] = 1
    config: Annotated[_Json, AfterValidator(_checked_session)]
    """As a Realtime session object (schemas/realtime/realtime_session.py), without its id."""
    created: bool = False
    """The session began with it."""
    secret: str = ""
    """The client secret that the session was made with, by its name."""


class ItemAdded(_Event):
    """A client put an item into the conversation. Its id is its own, or made of this event's number."""

    type: Literal["item.added"] = "item.added"
    v: Literal[1] = 1
    item: Annotated[_Json, AfterValidator(_checked_item)]
    after: str | None = None
    """The item before it; "root": it is the first; None: the last one."""
    committed: bool = False
    """It stands for sound in which nothing was said."""


class ItemRemoved(_Event):
    """The model is not told of this item any more."""

    type: Literal["item.removed"] = "item.removed"
    v: Literal[1] = 1
    item: str


class ItemTruncated(_Event):
    """Of this answer nobody heard more than so much."""

    type: Literal["item.truncated"] = "item.truncated"
    v: Literal[1] = 1
    item: str
    content_index: int = 0
    audio_end_ms: int


class ResponseAsked(_Event):
    """A client asked for a response: the next event is the turn."""

    type: Literal["response.asked"] = "response.asked"
    v: Literal[1] = 1
    conversation: Literal["auto", "none"] = "auto"
    """`none`: the answer is no part of the conversation."""
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    config: Annotated[_Json, AfterValidator(_checked_config)]
    """The configuration that it is answered with."""


class InputCleared(_Event):
    """The client took back what it sent and nobody had listened to."""

    type: Literal["input.cleared"] = "input.cleared"
    v: Literal[1] = 1
    input: str


class InputIdled(_Event):
    """The user was silent for so long after an answer that the model speaks again."""

    type: Literal["input.idled"] = "input.idled"
    v: Literal[1] = 1
    input: str
    start_ms: int
    end_ms: int


class CallHungUp(_Event):
    """The end of a call of this session was asked for, or came: the gateway that holds the call ends it.

    With a turn, a call by telephone ends once that turn's answer was heard.
    """

    type: Literal["call.hung_up"] = "call.hung_up"
    v: Literal[1] = 1
    call: str
    """Its id, as in the `Location` of the answer to the offer, or in `call.connected`."""
