"""The facts of a session: one closed union, past tense, versioned, never edited.

A fact says what happened; its place (sequence number), time and turn belong to the envelope
(`schemas/recorded.py`). Character offsets count Unicode code points of the turn's shown text;
milliseconds of speech count from the start of the turn's audio.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.settings import SessionSettings


class _Fact(BaseModel):
    """Readers ignore fields that they do not know: two versions run side by side during a rollout."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


# ---------------------------------------------------------------- the session


class SessionStarted(_Fact):
    """The log of a session begins."""

    type: Literal["session.started"] = "session.started"
    v: Literal[1] = 1
    settings: SessionSettings
    title: str = ""


class SettingsChanged(_Fact):
    """The session's settings are these from now on; turns already requested keep theirs."""

    type: Literal["settings.changed"] = "settings.changed"
    v: Literal[1] = 1
    settings: SessionSettings


class SessionEndRequested(_Fact):
    """Somebody wants the session closed; its owner stops the turns first."""

    type: Literal["session.end_requested"] = "session.end_requested"
    v: Literal[1] = 1
    reason: Literal["user", "idle", "deleted"] = "user"


class SessionEnded(_Fact):
    """Nothing follows this fact."""

    type: Literal["session.ended"] = "session.ended"
    v: Literal[1] = 1
    reason: Literal["user", "idle", "deleted"]


class OwnerChanged(_Fact):
    """Another gateway replica runs the session's turns from here on."""

    type: Literal["owner.changed"] = "owner.changed"
    v: Literal[1] = 1
    epoch: int
    node: str


# ---------------------------------------------------------------- commands, recorded as facts


class TurnRequested(_Fact):
    """Somebody asked. The sequence number of this fact is the turn's name."""

    type: Literal["turn.requested"] = "turn.requested"
    v: Literal[1] = 1
    kind: Literal["prompt", "text"]
    """`prompt`: the language model answers it. `text`: it is read out word for word."""
    text: str
    settings: SessionSettings


class TurnStopRequested(_Fact):
    type: Literal["turn.stop_requested"] = "turn.stop_requested"
    v: Literal[1] = 1
    reason: Literal["user", "barge_in"] = "user"


class SentenceSkipRequested(_Fact):
    type: Literal["sentence.skip_requested"] = "sentence.skip_requested"
    v: Literal[1] = 1
    sentence: int


class PlaybackPaused(_Fact):
    """Listeners hold their output here; no further sentence is synthesised."""

    type: Literal["playback.paused"] = "playback.paused"
    v: Literal[1] = 1


class PlaybackResumed(_Fact):
    type: Literal["playback.resumed"] = "playback.resumed"
    v: Literal[1] = 1


# ---------------------------------------------------------------- the turn


class TurnStarted(_Fact):
    """An owner began to work on the turn."""

    type: Literal["turn.started"] = "turn.started"
    v: Literal[1] = 1
    epoch: int


class TextDelta(_Fact):
    """The shown text grew by `text`, at offset `at`."""

    type: Literal["text.delta"] = "text.delta"
    v: Literal[1] = 1
    at: int
    text: str


class TextCompleted(_Fact):
    """The shown text is whole."""

    type: Literal["text.completed"] = "text.completed"
    v: Literal[1] = 1
    chars: int
    finish: Literal["stop", "length", "verbatim"]
    tokens_in: int = 0
    tokens_out: int = 0
    ttft_ms: float | None = None
    """From the call of the language model to its first delta."""


class SentenceReady(_Fact):
    """Characters [start, end) of the shown text will be spoken as `spoken`.

    The sentences of a turn tile its text: each starts where the one before ended.
    """

    type: Literal["sentence.ready"] = "sentence.ready"
    v: Literal[1] = 1
    sentence: int
    start: int
    end: int
    spoken: str
    """Normalised for the voice; empty: nothing to say (an emoji, a rule), no audio follows."""


class Word(_Fact):
    """Characters [start, end) of the shown text are heard from start_ms to end_ms of the turn's audio."""

    start: int
    end: int
    start_ms: int
    end_ms: int


class SentenceVoiced(_Fact):
    """The sentence's audio begins at `at_ms`; recorded before its first chunk."""

    type: Literal["sentence.voiced"] = "sentence.voiced"
    v: Literal[1] = 1
    sentence: int
    voice: str
    at_ms: int
    words: tuple[Word, ...] = ()
    """Empty where the engine does not know word times."""
    ttfb_ms: float | None = None
    """From the sentence being handed to the voice to its first audio."""


class AudioChunk(_Fact):
    """A piece of the sentence's audio. Its bytes lie in the sibling audio stream under the same number."""

    type: Literal["audio.chunk"] = "audio.chunk"
    v: Literal[1] = 1
    sentence: int
    chunk: int
    """0, 1, 2, ... within the sentence."""
    at_ms: int
    ms: int
    codec: Literal["opus"] = "opus"
    bytes: int
    last: bool = False
    """Nothing of this sentence follows."""


class SentenceCompleted(_Fact):
    """All audio of the sentence is in the log."""

    type: Literal["sentence.completed"] = "sentence.completed"
    v: Literal[1] = 1
    sentence: int
    at_ms: int
    ms: int


class SentenceFailed(_Fact):
    """The voice could not speak this sentence; the turn goes on without (the rest of) its audio."""

    type: Literal["sentence.failed"] = "sentence.failed"
    v: Literal[1] = 1
    sentence: int
    code: str
    message: str


class SentenceSkipped(_Fact):
    """On request, (the rest of) the sentence's audio was not made."""

    type: Literal["sentence.skipped"] = "sentence.skipped"
    v: Literal[1] = 1
    sentence: int


class TurnCompleted(_Fact):
    """The turn's text and audio are whole. Terminal."""

    type: Literal["turn.completed"] = "turn.completed"
    v: Literal[1] = 1
    sentences: int
    audio_ms: int
    ttfa_ms: float | None = None
    """From the request being recorded to the first audio being recorded."""


class TurnStopped(_Fact):
    """The turn ended early on request; what was said before stands. Terminal."""

    type: Literal["turn.stopped"] = "turn.stopped"
    v: Literal[1] = 1
    reason: Literal["user", "barge_in", "session_ended"]


class TurnFailed(_Fact):
    """The turn could not be finished; what was said before stands. Terminal."""

    type: Literal["turn.failed"] = "turn.failed"
    v: Literal[1] = 1
    stage: Literal["text", "speech", "owner"]
    code: str
    message: str
    retryable: bool = False


Fact = Annotated[
    SessionStarted
    | SettingsChanged
    | SessionEndRequested
    | SessionEnded
    | OwnerChanged
    | TurnRequested
    | TurnStopRequested
    | SentenceSkipRequested
    | PlaybackPaused
    | PlaybackResumed
    | TurnStarted
    | TextDelta
    | TextCompleted
    | SentenceReady
    | SentenceVoiced
    | AudioChunk
    | SentenceCompleted
    | SentenceFailed
    | SentenceSkipped
    | TurnCompleted
    | TurnStopped
    | TurnFailed,
    Field(discriminator="type"),
]

FACT: Final[TypeAdapter[Fact]] = TypeAdapter(Fact)
TERMINAL: Final = frozenset({"turn.completed", "turn.stopped", "turn.failed"})
"""Every turn ends in exactly one of these."""

TRIGGERS: Final = frozenset(
    {
        "session.started",
        "session.ended",
        "settings.changed",
        "owner.changed",
        "turn.requested",
        "turn.completed",
        "turn.stopped",
        "turn.failed",
        "text.completed",
    }
)
"""Types that also leave a pointer in the partition's trigger stream, for the workers."""


def payload(fact: Fact) -> dict[str, Any]:
    """What is stored of a fact beside its envelope: every field but `type` and `v`."""
    return fact.model_dump(mode="json", exclude={"type", "v"})
