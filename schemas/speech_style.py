"""How text is said: styles, pauses, emoji, and words that are pronounced as a dictionary says."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.document_models import ClosedModel, FrozenModel, RequestModel
from schemas.languages import LanguageTag

Style = Literal["neutral", "calm", "cheerful", "serious", "sad", "excited", "whisper"]
"""A small vocabulary that each engine translates into what it knows."""
Emoji = Literal["silent", "named"]
PRONUNCIATIONS = 64
"""Entries of one dictionary, at most."""
MARKS = 1_000
"""Marks of SSML in one text, at most."""


class PauseSettings(ClosedModel):
    """Silence between sentences, in milliseconds of sound, whatever the speed."""

    sentence_ms: int | None = Field(default=None, ge=0, le=5_000)
    """After a sentence; None: as the voice makes it."""
    paragraph_ms: int | None = Field(default=None, ge=0, le=10_000)
    """After the last sentence of a paragraph, and after a heading; None: as after a sentence."""


class PronunciationEntry(RequestModel):
    """One entry of a pronunciation dictionary: it changes what is said, never what is shown."""

    word: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"\S")
    """Word or phrase, found as a whole."""
    pattern: str | None = Field(default=None, min_length=1, max_length=200)
    """Regular expression of RE2 instead, which takes time in proportion to the text."""
    respelling: str | None = Field(default=None, max_length=200)
    """Text that is said for it; empty: it is not said."""
    ipa: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^\[\]<>&\x00-\x1f]*$")
    """Pronunciation in the International Phonetic Alphabet instead. Voices without phonemes read the word."""
    case_sensitive: bool = False
    language: LanguageTag | None = None
    """Only in sentences of this language; None: in all."""
    origin: Literal["session", "user", "server"] = "session"
    """Dictionary that it is from. In a request it counts as the session's own, whatever it says."""

    @model_validator(mode="after")
    def _says_one_thing_of_one_thing(self) -> Self:
        if (self.word is None) == (self.pattern is None):
            raise ValueError('give either "word" or "pattern"')
        if (self.respelling is None) == (self.ipa is None):
            raise ValueError('give either "respelling" or "ipa"')
        return self


Dictionary = Annotated[tuple[PronunciationEntry, ...], Field(max_length=PRONUNCIATIONS)]


def from_origin(
    entries: tuple[PronunciationEntry, ...], origin: Literal["session", "user", "server"]
) -> tuple[PronunciationEntry, ...]:
    """The entries as ones of that dictionary."""
    return tuple(one.model_copy(update={"origin": origin}) for one in entries)


class SpeechMark(FrozenModel):
    """Mark of SSML at characters [start, end) of the shown text."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    kind: Literal["break", "rate", "say-as", "phoneme"]
    value: str = Field(min_length=1, max_length=100)
    """Milliseconds, times the session's speed, what it is said as, or IPA."""

    @model_validator(mode="after")
    def _has_a_value_of_its_kind(self) -> Self:
        if self.kind == "break" and not 0 <= int(self.value) <= 10_000:
            raise ValueError("is no pause of at most ten seconds")
        if self.kind == "rate" and not 0.25 <= float(self.value) <= 4:
            raise ValueError("is no speed between 0.25 and 4")
        if self.kind == "phoneme" and set(self.value) & set("[]<>\uffff"):
            raise ValueError("is no IPA")
        return self


class VoiceMark(FrozenModel):
    """Voice that speaks the characters [start, end) of the shown text."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    kind: Literal["voice"] = "voice"
    value: str = Field(min_length=1, max_length=100)
    """The voice's name."""


class TextPart(FrozenModel):
    """Characters [start, end) of the shown text."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)


class KeptReading(FrozenModel):
    """An earlier reading of the same text, whose sound stays but for some parts."""

    session: str
    turn: int
    """Turn of `session` that read the text."""
    again: tuple[TextPart, ...] = Field(default=(), max_length=MARKS)
    """Parts that are spoken again. A sentence that lies in one, or reaches into it, is spoken again whole."""


Mark = Annotated[SpeechMark | VoiceMark, Field(discriminator="kind")]
