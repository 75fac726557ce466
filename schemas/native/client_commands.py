"""Commands of a client. Shapes only: lengths that depend on the deployment are the face's to check."""

import json
import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from schemas.document_models import PatchModel, RequestModel
from schemas.settings import SentenceSettings, SessionName, SessionSettings
from schemas.settings.listening_settings import EndpointingSettings, ListeningSettings
from schemas.settings.model_settings import (
    FUNCTIONS,
    FunctionName,
    FunctionOffer,
    SamplingSettings,
    ToolSettings,
)
from schemas.settings.provider_settings import SpeechExtra
from schemas.settings.retrieval_settings import SearchToolConfig
from schemas.speech_style import PRONUNCIATIONS, PauseSettings, PronunciationEntry, from_origin

_TOLD_CHARS: Final = 32_000
"""Of a schema, or of everything that is said about functions; small models could not be told more."""
REFERENCE_CHARS: Final = 20_000
"""Of a recording's text, where that is known."""

UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and line feed, and halves of surrogate pairs, which no encoding can write."""


def _readable(text: str) -> str:
    """Line ends become "\\n", whatever the writer's system; what cannot be shown is refused."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := UNREADABLE.search(text):
        raise ValueError(
            f"contains the unreadable character U+{ord(found[0]):04X} at position {found.start()}"
        )
    return text


def _readable_extra(extra: SpeechExtra) -> SpeechExtra:
    return {
        _readable(name): _readable(value) if isinstance(value, str) else value
        for name, value in extra.items()
    }


def said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give some text")
    return text


class Described:
    """Says in a JSON schema what a validator checks, so that clients' own checks find it first."""

    def __init__(self, **keywords: Any) -> None:
        self._keywords = keywords

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | self._keywords


_UNSHOWN: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
SAYS_SOMETHING: Final = rf"[^\s{_UNSHOWN}]"
Readable = Annotated[str, AfterValidator(_readable), Described(pattern=f"^[^{_UNSHOWN}]*$")]
Said = Annotated[
    Readable,
    AfterValidator(said),
    Described(minLength=1, pattern=f"^[^{_UNSHOWN}]*{SAYS_SOMETHING}[^{_UNSHOWN}]*$"),
]
ReadableExtra = Annotated[SpeechExtra, AfterValidator(_readable_extra)]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
"""An idempotency key: the same key in the same session names the same turn."""
TurnNumber = Annotated[int, Field(ge=1, le=2**53)]


class SentencePatch(PatchModel, SentenceSettings):
    """Any part of the sentence settings."""


class PausePatch(PatchModel, PauseSettings):
    """Any part of the settings of pauses."""


class EndpointingPatch(PatchModel, EndpointingSettings):
    """Any part of the endpointing settings."""


class ListeningPatch(PatchModel, ListeningSettings):
    """Any part of the listening settings."""

    endpointing: EndpointingPatch = EndpointingPatch()
    prompt: Annotated[Readable, Field(max_length=2_000)] = ""
    provider: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None


def _tellable(value: Any) -> None:
    """Raises ValueError for what is too long for any model, or cannot be written down."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > _TOLD_CHARS:
        raise ValueError(f"has {len(text)} characters; at most {_TOLD_CHARS} are taken")
    _readable(text)


class SamplingPatch(PatchModel, SamplingSettings):
    """Any part of the sampling settings."""

    stop: tuple[Annotated[Readable, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=4, strict=False, fail_fast=True
    )

    @field_validator("json_schema")
    @classmethod
    def _is_speakable(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        _tellable(schema)
        return schema


class ToolPatch(PatchModel, ToolSettings):
    """Any part of the tool settings."""

    registered: tuple[FunctionName, ...] = Field(default=(), max_length=64, strict=False, fail_fast=True)
    functions: tuple[FunctionOffer, ...] = Field(
        default=(), max_length=FUNCTIONS, strict=False, fail_fast=True
    )

    @field_validator("functions")
    @classmethod
    def _is_speakable(cls, functions: tuple[FunctionOffer, ...]) -> tuple[FunctionOffer, ...]:
        _tellable([one.model_dump() for one in functions])
        names = [one.name for one in functions]
        if len(set(names)) < len(names):
            raise ValueError("name a function twice")
        return functions


class SearchPatch(PatchModel, SearchToolConfig):
    """Any part of the search settings."""


class SettingsPatch(PatchModel, SessionSettings):
    """Any part of the session settings, under the same limits.

    Only the fields that were given count; the defaults of the others mean nothing here.
    """

    voice: Annotated[Readable, Field(min_length=1, max_length=64)] = "joe"
    system_prompt: Annotated[Readable, Field(max_length=8_000)] = ""
    sentences: SentencePatch = SentencePatch()
    tts_provider: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None
    tts_extra: ReadableExtra = Field(default_factory=dict)
    instructions: Annotated[Readable, Field(max_length=4_096)] = ""
    pauses: PausePatch = PausePatch()
    pronunciations: tuple[PronunciationEntry, ...] = Field(
        default=(), max_length=PRONUNCIATIONS, strict=False, fail_fast=True
    )
    listening: ListeningPatch = ListeningPatch()
    sampling: SamplingPatch = SamplingPatch()
    tools: ToolPatch = ToolPatch()
    collections: tuple[SessionName, ...] = Field(default=(), max_length=16, strict=False, fail_fast=True)
    search: SearchPatch = SearchPatch()
    character: Annotated[Readable, Field(max_length=64)] | None = None
    llm_provider: Annotated[Readable, Field(min_length=1, max_length=64)] | None = None
    llm_model: Annotated[Readable, Field(min_length=1, max_length=128)] | None = None

    def apply(self, base: SessionSettings) -> SessionSettings:
        """`base` with the given fields replaced; settings within settings are merged field by field."""
        given: dict[str, Any] = self.model_dump(exclude_unset=True)
        before = base.model_dump()
        listening = before["listening"] | given.get("listening", {})
        listening["endpointing"] = before["listening"]["endpointing"] | given.get("listening", {}).get(
            "endpointing", {}
        )
        merged = before | given | {"listening": listening}
        for part in ("sentences", "sampling", "tools", "search", "pauses"):
            merged[part] = before[part] | given.get(part, {})
        if "pronunciations" in given:
            kept = tuple(one for one in base.pronunciations if one.origin != "session")
            merged["pronunciations"] = (*from_origin(self.pronunciations, "session"), *kept)
        return SessionSettings.model_validate(merged)


class CreateSession(RequestModel):
    settings: SettingsPatch = Field(default_factory=SettingsPatch)
    title: Annotated[Readable, Field(max_length=200)] = ""


class UpdateSession(RequestModel):
    """The settings for turns requested from now on, a new title, or both."""

    settings: SettingsPatch | None = None
    title: Annotated[Said, Field(max_length=200)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.settings is None and self.title is None:
            raise ValueError('give "settings" or "title"')
        return self


class CreateShare(RequestModel):
    """A link for somebody who may listen to the session, and nothing else."""

    expires_in: Annotated[int, Field(ge=1, le=10 * 366 * 86_400)] | None = None
    """Seconds; None: until it is revoked."""
    label: Annotated[Readable, Field(max_length=200)] = ""


class RequestTurn(RequestModel):
    """Answer a prompt, or read a text out: exactly one of the two."""

    prompt: Said | None = None
    text: Said | None = None
    settings: SettingsPatch = Field(default_factory=SettingsPatch)
    key: Key | None = None
    replaces: TurnNumber | None = None
    """The turn whose place this one takes, as another version of it."""
    continues: TurnNumber | None = None
    """The latest turn, whose answer this one goes on with; `prompt` tells the model to do so."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.prompt is None) == (self.text is None):
            raise ValueError('give either "prompt" (to be answered) or "text" (to be read out), not both')
        return self

    @property
    def kind(self) -> Literal["prompt", "text"]:
        return "text" if self.prompt is None else "prompt"

    @property
    def content(self) -> str:
        """The prompt or the text, whichever was given."""
        return self.prompt or self.text or ""


class Control(RequestModel):
    """A wish about the turn that is running."""

    action: Literal["stop", "pause", "resume", "skip"]
    turn: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Only if this turn is the running one; None: whichever is."""
    sentence: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Skip: this sentence; None: the one being made."""

    @model_validator(mode="after")
    def _sentences_are_skipped(self) -> Self:
        if self.sentence is not None and self.action != "skip":
            raise ValueError(f'"sentence" goes with the action "skip", not with "{self.action}"')
        return self


Format = Literal["pcm16", "opus", "mulaw", "alaw"]
Rate = Literal[8_000, 16_000, 24_000, 48_000]
_RATES: Final[dict[Format, Rate]] = {"pcm16": 16_000, "opus": 48_000, "mulaw": 8_000, "alaw": 8_000}


class OpenInput(RequestModel):
    """Begin to be listened to, or go on after the connection broke; then sound follows in binary frames."""

    input: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] | None = None
    """A UUID of the client's, the same one after a broken connection; None: the server makes one up."""
    format: Format = "pcm16"
    """`pcm16`: little-endian, mono, frames of any length. `opus`: one packet per frame."""
    rate: Rate | None = None
    """Samples per second; None: 16000 as "pcm16", 8000 as "mulaw" and "alaw". "opus" is always 48000."""
    at_ms: Annotated[int, Field(ge=0, le=2**40)] = 0
    """The oldest sound that can be sent, in milliseconds of the input; later than 0 only when going on."""
    reference: Annotated[Readable, Field(max_length=REFERENCE_CHARS)] = ""
    """Expected text, if known; transcripts are measured against it."""

    @property
    def samples_per_s(self) -> Rate:
        """The rate, said or not."""
        if self.rate is None or self.format == "opus":
            return _RATES[self.format]
        return self.rate


class AcknowledgePlayback(RequestModel):
    """So much of a turn's audio has been heard from the client's loudspeaker."""

    turn: Annotated[int, Field(ge=1, le=2**53)]
    heard_ms: Annotated[int, Field(ge=0, le=2**40)]
    underruns: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How often the loudspeaker ran dry in the middle of this turn so far."""
    ended: bool = False
    """Nothing more of this turn will be heard from this loudspeaker."""
