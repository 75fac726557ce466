"""Client events of the Realtime API: eleven kinds of events, and requests for client secrets."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, StrictInt, ValidationError

from schemas.bounds import DEEPEST, VALUES, too_deep, too_many
from schemas.errors.realtime_errors import RealtimeInvalid, of_validation
from schemas.native.client_commands import Readable
from schemas.realtime.realtime_items import Item, ItemId, RealtimeModel
from schemas.realtime.realtime_session import ResponseWish, SessionPatch, TranscriptionPatch

APPEND_CHARS: Final = 15 * 1024 * 1024
"""Of one piece of sound in base64, as with OpenAI."""
_EVENT_ID: Final = 512


class _Event(RealtimeModel):
    event_id: Readable | None = Field(default=None, max_length=_EVENT_ID)


class SessionUpdate(_Event):
    type: Literal["session.update"]
    session: dict[str, Any]
    """Read by `session_patch`: which fields it may have depends on its type."""


class BufferAppend(_Event):
    type: Literal["input_audio_buffer.append"]
    audio: str = Field(max_length=APPEND_CHARS)


class BufferCommit(_Event):
    type: Literal["input_audio_buffer.commit"]


class BufferClear(_Event):
    type: Literal["input_audio_buffer.clear"]


class OutputClear(_Event):
    type: Literal["output_audio_buffer.clear"]


class ItemCreate(_Event):
    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: ItemId | None = None


class ItemRetrieve(_Event):
    type: Literal["conversation.item.retrieve"]
    item_id: ItemId


class ItemTruncate(_Event):
    type: Literal["conversation.item.truncate"]
    item_id: ItemId
    content_index: StrictInt = Field(ge=0, le=0)
    audio_end_ms: StrictInt = Field(ge=0, le=2**40)


class ItemDelete(_Event):
    type: Literal["conversation.item.delete"]
    item_id: ItemId


class ResponseCreate(_Event):
    type: Literal["response.create"]
    response: ResponseWish | None = None


class ResponseCancel(_Event):
    type: Literal["response.cancel"]
    response_id: str | None = Field(default=None, max_length=128)


ClientEvent = (
    SessionUpdate
    | BufferAppend
    | BufferCommit
    | BufferClear
    | OutputClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)
CLIENT_EVENTS: Final[Mapping[str, type[RealtimeModel]]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": BufferAppend,
    "input_audio_buffer.commit": BufferCommit,
    "input_audio_buffer.clear": BufferClear,
    "output_audio_buffer.clear": OutputClear,
    "conversation.item.create": ItemCreate,
    "conversation.item.retrieve": ItemRetrieve,
    "conversation.item.truncate": ItemTruncate,
    "conversation.item.delete": ItemDelete,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
}


class ExpiresAfter(RealtimeModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: StrictInt = Field(default=600, ge=10, le=7_200)


class SecretWish(RealtimeModel):
    """A request for a client secret."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] = Field(default_factory=dict)


def client_event(raw: Any) -> ClientEvent:
    """Raises RealtimeInvalid."""
    if not isinstance(raw, dict):
        raise RealtimeInvalid("An event is a JSON object.", reason="invalid_json")
    kind = raw.get("type")
    if kind is None:
        raise RealtimeInvalid(
            "Missing required parameter: 'type'.", reason="missing_required_parameter", field="type"
        )
    model = CLIENT_EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(f"'{name}'" for name in CLIENT_EVENTS)
        raise RealtimeInvalid(f"Invalid value: {kind!r:.80}. Supported values are: {known}.", field="type")
    _bounded(raw)
    event: ClientEvent = _checked(model, raw)
    return event


def session_patch(raw: Any) -> SessionPatch | TranscriptionPatch:
    """Raises RealtimeInvalid."""
    if not isinstance(raw, dict):
        raise RealtimeInvalid("A session is a JSON object.", reason="invalid_json", field="session")
    _bounded(raw)
    kind = raw.get("type", "realtime")
    if kind not in ("realtime", "transcription"):
        raise RealtimeInvalid(
            f"Invalid value: {kind!r:.80}. Supported values are: 'realtime', 'transcription'.",
            field="session.type",
        )
    model = SessionPatch if kind == "realtime" else TranscriptionPatch
    patch: SessionPatch | TranscriptionPatch = _checked(model, raw, within="session")
    return patch


def secret_wish(raw: Any) -> SecretWish:
    """Raises RealtimeInvalid."""
    if not isinstance(raw, dict):
        raise RealtimeInvalid("The body is a JSON object.", reason="invalid_json")
    _bounded(raw)
    wish: SecretWish = _checked(SecretWish, raw)
    return wish


def _bounded(raw: Any) -> None:
    if too_many(raw):
        raise RealtimeInvalid(f"At most {VALUES} values are taken at once.")
    if too_deep(raw):
        raise RealtimeInvalid(f"Nothing may be nested deeper than {DEEPEST} levels.")


def _checked(model: type[RealtimeModel], raw: Any, within: str = "") -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise of_validation(
            error.errors(include_context=False, include_input=False, include_url=False), within=within
        ) from error
