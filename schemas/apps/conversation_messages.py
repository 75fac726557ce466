"""Messages of the conversations face, in the words of its clients (docs/conversations.md)."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.bounds import FewFields
from schemas.document_models import ClosedModel, without_defaults
from schemas.languages import LanguageChoice
from schemas.native.client_commands import (
    Key,
    Readable,
    Said,
    SearchPatch,
    SettingsPatch,
    TurnNumber,
)
from schemas.settings import SessionName
from schemas.settings.retrieval_settings import Citation

ChunkSize = Annotated[int, Field(ge=1, le=8_000)]
AudioParam = Literal["none", "mp3", "opus", "wav", "pcm16"]


# ---------------------------------------------------------------- wishes


class _Wish(FewFields, ClosedModel):
    """Message of a client."""


class CreateCharacter(_Wish):
    """Creates a character to talk to."""

    name: Annotated[Said, Field(max_length=100)]
    persona: Annotated[Readable, Field(max_length=6_000)] = ""
    """Personality and manner of speaking, for the language model."""
    voice: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None
    """None: the server's usual one."""
    language: LanguageChoice | None = None
    collections: Annotated[tuple[SessionName, ...], Field(max_length=16, fail_fast=True)] = ()
    """Collections of documents that it knows."""


class ChangeCharacter(CreateCharacter):
    """Any part of a character; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Annotated[Said, Field(max_length=100)] = "-"


class CreateThread(_Wish):
    character: Annotated[Readable, Field(max_length=64)] | None = None
    """The id of a character; None: nobody in particular."""
    title: Annotated[Readable, Field(max_length=200)] = ""
    """Empty: the beginning of the first question."""
    settings: SettingsPatch = Field(default_factory=SettingsPatch)


class ChangeThread(_Wish):
    """Changes a thread; a `character` of `null` takes the character away."""

    title: Annotated[Said, Field(max_length=200)] | None = None
    character: Annotated[Readable, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.title is None and "character" not in self.model_fields_set:
            raise ValueError('give "title" or "character"')
        return self


class AddMember(_Wish):
    user: Annotated[Said, Field(max_length=200)]
    """The name of their key."""


class StreamingWish(_Wish):
    """The seed's `streaming.chunkSize`, for one answer."""

    model_config = ConfigDict(populate_by_name=True)

    chunk_size: ChunkSize | None = Field(default=None, alias="chunkSize")


class _Message(_Wish):
    message: Said
    search_tool_config: SearchPatch | None = None
    """How passages are looked up; `null` or left out: as the thread does."""
    collections: Annotated[tuple[SessionName, ...], Field(max_length=16, fail_fast=True)] | None = None
    """Collections to search; left out: those of the character."""
    audio: AudioParam = "none"
    """Also speak the answer, and send each sentence's sound in this format."""
    streaming: StreamingWish = StreamingWish()
    key: Key | None = None
    """The same key asks only once, however often it is sent."""
    user: Annotated[Readable, Field(max_length=100)] = ""
    """Name of the asking member, if the server does not know it."""
    replaces: TurnNumber | None = None
    """The turn whose place this one takes, as another version of it."""
    continues: TurnNumber | None = None
    """The latest turn, whose answer this one goes on with; `message` tells the model to do so."""


class ThreadMessage(_Message):
    """`POST /v1/conversations/message/stream`."""

    thread_id: Annotated[str, Field(max_length=64)]


class ConversationMessage(_Message):
    """`POST /sse/{chatId}/stream`."""

    model: Annotated[Readable, Field(min_length=1, max_length=128)] | None = None
    provider: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None


class SocketMessage(_Message):
    """A question on the socket."""

    type: Literal["message"] = "message"
    ref: Annotated[str, Field(max_length=128)] | None = None


class SocketControl(_Wish):
    """Other messages of a client on the socket."""

    type: Literal["pause", "resume", "skip", "stop", "ping"]
    sentence: Annotated[int, Field(ge=0, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _sentences_are_skipped(self) -> Self:
        if self.sentence is not None and self.type != "skip":
            raise ValueError('"sentence" goes with the type "skip"')
        return self


SocketCommand = Annotated[SocketMessage | SocketControl, Field(discriminator="type")]


# ---------------------------------------------------------------- answers


class CharacterView(ClosedModel):
    id: str
    name: str
    persona: str = ""
    voice: str | None = None
    language: LanguageChoice | None = None
    collections: tuple[str, ...] = ()


class CharacterList(ClosedModel):
    characters: tuple[CharacterView, ...]


class CitationView(Citation):
    """A passage with where in the answer, and when in its sound, it is cited."""

    class Heard(ClosedModel):
        start_ms: int
        end_ms: int

    heard: tuple[Heard, ...] = ()
    """The sound of the sentences that rest on it, in milliseconds of the answer's audio."""


class MessageView(ClosedModel):
    id: str
    turn: int
    role: Literal["user", "assistant"]
    content: str
    created_ms: int
    user: str = ""
    """Name of the member that asked, in a conversation of several."""
    continues: int | None = None
    """The turn whose answer this one goes on with: both are one answer, and there is no question for it."""
    status: Literal["requested", "running", "completed", "stopped", "failed"] = "completed"
    citations: tuple[CitationView, ...] = ()
    error: str | None = None


class ThreadView(ClosedModel):
    id: str
    title: str
    character: CharacterView | None = None
    created_ms: int
    latest_ms: int
    owner: str = ""
    members: tuple[str, ...] = ()
    messages: tuple[MessageView, ...] = ()


class ListedThread(ClosedModel):
    id: str
    title: str
    created_ms: int
    latest_ms: int
    owner: str = ""
    turns: int = 0


class ThreadList(ClosedModel):
    """Newest first."""

    threads: tuple[ListedThread, ...]
    next: str | None = None
    """To be sent as `before`; None: there are no more."""
