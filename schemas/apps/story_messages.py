"""Messages of the stories and narration faces, in the words of their clients (docs/stories.md)."""

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from schemas.bounds import FewFields
from schemas.document_models import ClosedModel, PatchModel
from schemas.native.client_commands import Key, Readable, ReadableExtra, Said
from schemas.settings.narration_preferences import Preferences
from schemas.speech_style import PRONUNCIATIONS, PronunciationEntry

VOICED_PARTS = 200
"""Parts of one scene that have a voice of their own, at most."""
SceneName = Annotated[str, Field(max_length=80)]


# ---------------------------------------------------------------- wishes


class _Wish(FewFields, ClosedModel):
    """Message of a client."""


class CreateStory(_Wish):
    title: Annotated[Readable, Field(max_length=200)] = ""
    premise: Annotated[Readable, Field(max_length=4_000)] = ""
    """Premise of the story; the language model gets it before every scene."""


class CreateScene(_Wish):
    """One more scene: written by the language model, or given."""

    custom_prompt: Annotated[Readable, Field(max_length=20_000)] = ""
    """Direction for the scene; empty: the model decides."""
    content: Said | None = None
    """The scene itself, word for word, of any length: nothing is generated."""
    replaces: SceneName | None = None
    """Id of a scene of this story whose place this one takes, unless it fails or is stopped. An empty
    `custom_prompt` is then that scene's."""
    key: Key | None = None


class StreamScene(_Wish):
    """One more scene, heard while it is being written."""

    custom_prompt: Annotated[Readable, Field(max_length=20_000)] = ""
    enable_tts_stream: bool = True
    replaces: SceneName | None = None
    """As for a scene to be read."""
    key: Key | None = None


class ScenePart(_Wish):
    """The characters [start, end) of a scene."""

    start: Annotated[int, Field(ge=0, le=2**53)]
    end: Annotated[int, Field(ge=1, le=2**53)]

    @model_validator(mode="after")
    def _has_characters(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be greater than start")
        return self


class PartVoice(ScenePart):
    """Voice of the characters [start, end) of a scene; where parts overlap, that of the first one."""

    voice: Annotated[Readable, Field(min_length=1, max_length=64)]


class GenerateNarration(_Wish):
    force_regenerate: bool = False
    """Make it again although there is one."""
    voices: tuple[PartVoice, ...] = Field(default=(), max_length=VOICED_PARTS, strict=False, fail_fast=True)
    """Parts of the scene that other voices speak than the rest. A scene that is read out already is read out
    again for them."""
    parts: tuple[ScenePart, ...] = Field(default=(), max_length=VOICED_PARTS, strict=False, fail_fast=True)
    """The sentences of these parts alone are spoken again, in their place; the rest keeps its sound."""


class NarrateText(_Wish):
    """A text of no story, read out."""

    text: Said
    title: Annotated[Readable, Field(max_length=200)] = ""


class PreferencesPatch(PatchModel, Preferences):
    """Any part of the preferences; what is left out stays as it is."""

    realtime_tts_enabled: bool = Field(
        default=False, validation_alias=AliasChoices("realtime_tts_enabled", "realtime_tts")
    )
    """`realtime_tts`, as the seed's settings form calls it, is taken too."""
    default_voice: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None
    tts_provider: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None
    tts_extra_params: ReadableExtra = Field(default_factory=dict)
    pronunciations: tuple[PronunciationEntry, ...] = Field(
        default=(), max_length=PRONUNCIATIONS, strict=False, fail_fast=True
    )


class SocketCommand(_Wish):
    """Message of a client on any of the sockets."""

    type: Literal["pause", "resume", "skip", "stop", "ping", "ack"]
    sentence: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Skip: this sentence; left out: the one being made."""
    id: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Ack: the notification up to which all have been taken."""


# ---------------------------------------------------------------- answers


class NarrationView(ClosedModel):
    session_id: str
    status: Literal["requested", "ready", "failed"]
    chunk_count: int = 0
    audio_ms: int = 0
    auto_play: bool = False
    code: str | None = None
    message: str | None = None


class SceneView(ClosedModel):
    id: str
    story_id: str
    number: int
    """1, 2, 3, ... within the story."""
    prompt: str
    content: str
    status: Literal["requested", "running", "completed", "stopped", "failed"]
    created_ms: int
    spoken: bool
    """It was made to be heard while it was written: its audio is its own."""
    audio_ms: int = 0
    narration: NarrationView | None = None
    error: str | None = None


class StoryView(ClosedModel):
    id: str
    title: str
    premise: str
    created_ms: int
    scenes: tuple[SceneView, ...] = ()


class SceneStream(ClosedModel):
    """Addresses of the scene's audio; `session_id` is also the scene's id."""

    session_id: str
    websocket_url: str


class NarrationStarted(ClosedModel):
    session_id: str
    websocket_url: str
    status: Literal["requested", "ready"]
    total_chunks: int
    created: bool
    """False: it was there already."""


class PreferencesView(ClosedModel):
    preferences: Preferences
    seq: int


class PreferencesHistory(ClosedModel):
    class At(ClosedModel):
        seq: int
        changed_ms: int
        preferences: Preferences

    history: tuple[At, ...]


class VoiceView(ClosedModel):
    id: str
    provider: str
    preview_url: str
    languages: tuple[str, ...] = ()
    """BCP 47 tags; "*": every language; none: it is not known."""
