"""`POST /v1/audio/transcriptions` and `/translations`: what may be asked for, field by field."""

import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from schemas.languages import LanguageTag
from schemas.openai.parameter_support import (
    Cleaned,
    FromOpenAi,
    OpenAiRequest,
    refused,
    together,
    unsupported_parameter,
)

LISTS: Final = frozenset(
    {
        *("timestamp_granularities", "include", "keywords", "languages"),
        *("known_speaker_names", "known_speaker_references"),
    }
)
"""Fields that may come several times, with "[]" behind their names."""
_STREAMED: Final = (None, "json", "text")
Format = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]


class _Form(OpenAiRequest):
    """Of a form, where everything is text."""

    model_config = ConfigDict(strict=False)


class ServerVad(FromOpenAi):
    """Settings that cut the audio into utterances."""

    model_config = ConfigDict(strict=False)

    type: Literal["server_vad"]
    prefix_padding_ms: Annotated[int, Field(ge=0, le=2_000)] | None = None
    silence_duration_ms: Annotated[int, Field(ge=100, le=5_000)] | None = None
    threshold: Annotated[float, Field(ge=0.05, le=0.95)] | None = None


def _strategy(value: Any) -> Any:
    """A form holds it as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return None if value == "auto" else json.loads(value)
    except (ValueError, RecursionError):
        return value


def _no_logprobs(value: Any) -> Any:
    if value:
        raise unsupported_parameter("include")
    return value


Temperature = Annotated[float, Field(ge=0, le=1)]
Prompt = Annotated[Cleaned, Field(max_length=2_000)]
Language = Annotated[LanguageTag, Field(pattern=r"^[a-z]{2,3}$")]


class TranscriptionRequest(_Form):
    """The fields beside the file."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    language: Language | None = None
    prompt: Prompt | None = None
    keywords: Annotated[tuple[Annotated[Cleaned, Field(max_length=100)], ...], Field(max_length=100)] = ()
    response_format: Format | None = None
    temperature: Temperature | None = None
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = ()
    stream: bool | None = None
    chunking_strategy: Annotated[ServerVad | None, BeforeValidator(_strategy)] = None
    include: Annotated[tuple[str, ...], BeforeValidator(_no_logprobs)] = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=100)] = ()
    known_speaker_names: Annotated[Any, refused("known_speaker_names", [])] = ()
    known_speaker_references: Annotated[Any, refused("known_speaker_references", [])] = ()

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.timestamp_granularities and self.response_format != "verbose_json":
            raise together(
                "timestamp_granularities", "timestamp_granularities go with response_format 'verbose_json'"
            )
        if self.stream and self.response_format not in _STREAMED:
            raise together("response_format", "streams are told as 'json'; leave out 'stream'")
        return self

    @property
    def hint(self) -> str:
        """Prompt with names and words for the engine."""
        return " ".join(filter(None, [self.prompt, ", ".join(self.keywords)]))[:2_000]

    @property
    def language_or_any(self) -> str:
        """Of several it is found out which is spoken, among all that there are."""
        return self.language or (self.languages[0] if len(self.languages) == 1 else "auto")


class TranslationRequest(_Form):
    """The fields beside the file; what was said is written down in English."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    prompt: Prompt | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] | None = None
    temperature: Temperature | None = None
