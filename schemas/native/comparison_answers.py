"""Both ways of writing speech down, run again over what a session has heard: lines of one answer."""

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.document_models import ClosedModel
from schemas.events.voice_events import WayReport, WordDifference
from schemas.settings.listening_settings import ListeningSettings, Mode


class ComparisonProgress(ClosedModel):
    """So much of an input has been listened to again."""

    type: Literal["progress"] = "progress"
    input: str
    name: str
    """Of the file it came from; empty: a microphone."""
    at_ms: int
    total_ms: int


class UtteranceComparison(ClosedModel):
    """Transcripts of one utterance by each mode; the realtime mode comes first."""

    utterance: int
    start_ms: int
    end_ms: int
    reason: Literal["silence", "max_length", "closed", "commit"]
    ways: tuple[WayReport, WayReport]
    errors: tuple[str, str] = ("", "")
    """Why a way has no text; empty: it has one."""
    words: int
    """Of the first one's text."""
    differences: tuple[WordDifference, ...] = ()


class WayTotal(ClosedModel):
    """One way over a whole input."""

    mode: Mode
    engine: str = ""
    words: int = 0
    """That it wrote down."""
    word_errors: int | None = None
    """Against the input's reference; None: it has none."""
    failed: int = 0
    """Utterances that it did not write down; their words count as left out."""
    after_ms: tuple[float, ...] = ()
    """From the end of each utterance to its text."""
    requests: int = 0
    """Of the engine, those for partial texts included."""
    decode_ms: float = 0.0
    cpu_ms: float = 0.0
    """Processor time of all of them; 0: the engine does not know."""
    revisions: int = 0
    """Words of partial texts that were taken back."""


class InputComparison(ClosedModel):
    """One microphone or file."""

    input: str
    name: str = ""
    source: Literal["microphone", "file"]
    from_ms: int
    """Position at which its stored audio begins; later than 0 where the beginning has been dropped since."""
    ms: int
    """Of sound, from there on."""
    spoken_ms: int
    """Of that, in utterances."""
    reference_words: int | None = None
    utterances: tuple[UtteranceComparison, ...] = ()
    ways: tuple[WayTotal, WayTotal]


class ComparisonReport(ClosedModel):
    """The last line."""

    type: Literal["report"] = "report"
    session_id: str
    listening: ListeningSettings
    """By which the sound was listened to again: the session's own, as a microphone in real time has them."""
    inputs: tuple[InputComparison, ...]


class ComparisonFailed(ClosedModel):
    """The last line, where there is no report."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool = False


ComparisonLine = Annotated[
    ComparisonProgress | ComparisonReport | ComparisonFailed, Field(discriminator="type")
]
COMPARISON_LINE: Final[TypeAdapter[ComparisonLine]] = TypeAdapter(ComparisonLine)
