"""The events of a session: one closed union, past tense, versioned, never edited.

An event says what happened; its place (sequence number), time and turn belong to the envelope
(`schemas/events/recorded.py`). Character offsets count Unicode code points of the turn's shown text;
milliseconds of speech count from the start of the turn's audio.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.events.answer_events import (
    AnswerCited,
    PassagesFailed,
    PassagesFound,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from schemas.events.document_events import (
    DocumentAdded,
    DocumentFailed,
    DocumentProgressed,
    DocumentRemoved,
)
from schemas.events.event_model import EventModel as _Event
from schemas.events.realtime_events import (
    CallHungUp,
    InputCleared,
    InputIdled,
    ItemAdded,
    ItemRemoved,
    ItemTruncated,
    RealtimeConfigured,
    ResponseAsked,
)
from schemas.events.stream_events import (
    StreamAppended,
    StreamClosed,
    StreamCreated,
    StreamForked,
    StreamNamed,
    StreamRead,
)
from schemas.events.telephone_events import CallConnected, CallTransferred, DtmfReceived
from schemas.events.thread_events import (
    CharacterDeleted,
    CharacterSaved,
    MemberAdded,
    MemberRemoved,
    SessionRenamed,
)
from schemas.events.turn_events import (
    AudioChunk,
    SentenceCompleted,
    SentenceFailed,
    SentenceReady,
    SentenceSkipped,
    SentenceVoiced,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnResumed,
    TurnStarted,
    TurnStopped,
)
from schemas.events.user_events import (
    NarrationFailed,
    NarrationReady,
    NarrationRequested,
    NotificationRaised,
    NotificationsDelivered,
    PreferencesChanged,
    ShareCreated,
    ShareRevoked,
)
from schemas.events.voice_events import (
    InputAudio,
    InputClosed,
    InputOpened,
    InputProgress,
    PlaybackEnded,
    PlaybackFlushed,
    PlaybackHeard,
    SpeechDiscarded,
    SpeechEnded,
    SpeechStarted,
    TranscriptCompared,
    TranscriptFailed,
    TranscriptFinal,
    TranscriptPartial,
)
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.speech_style import MARKS, KeptReading, SpeechMark, VoiceMark

Kind = Literal["session", "story", "narration", "user", "thread", "collection", "completion", "stream"]
"""Purpose of a session: anything, scenes that follow each other, one scene read out, one user's affairs, a
conversation with a character, a collection of documents, one answer for a client that keeps the history, a
durable stream of bytes."""

EndReason = Literal["user", "idle", "deleted", "done"]


# ---------------------------------------------------------------- the session


class SessionStarted(_Event):
    """The log of a session begins."""

    type: Literal["session.started"] = "session.started"
    v: Literal[1] = 1
    settings: SessionSettings
    title: str = ""
    kind: Kind = "session"
    principal: str = ""
    """Owner of the session; empty: no owner (the server asks for no credentials)."""
    parent: str | None = None
    """The session that this one comes from: the story of a narration, what was forked, or the thread whose
    files a collection holds."""
    parent_seq: int | None = None
    """The last event taken over from `parent` (a fork), or the scene of it that is read out (a narration)."""
    imported_from: str | None = None
    """The id that the session had where it was exported."""


class SettingsChanged(_Event):
    """The session's settings are these from now on; turns already requested keep theirs."""

    type: Literal["settings.changed"] = "settings.changed"
    v: Literal[1] = 1
    settings: SessionSettings


class SessionEndRequested(_Event):
    """The end of the session was requested; its owner stops the turns first."""

    type: Literal["session.end_requested"] = "session.end_requested"
    v: Literal[1] = 1
    reason: EndReason = "user"


class SessionEnded(_Event):
    """Nothing follows this event."""

    type: Literal["session.ended"] = "session.ended"
    v: Literal[1] = 1
    reason: EndReason


class OwnerChanged(_Event):
    """Another gateway replica runs the session's turns from here on."""

    type: Literal["owner.changed"] = "owner.changed"
    v: Literal[1] = 1
    epoch: int
    node: str


# ---------------------------------------------------------------- commands, recorded as events


class TurnRequested(_Event):
    """A turn was requested. The sequence number of this event is the turn's name."""

    type: Literal["turn.requested"] = "turn.requested"
    v: Literal[1] = 1
    kind: Literal["prompt", "text"]
    """`prompt`: the language model answers it. `text`: it is read out word for word."""
    text: str
    settings: SessionSettings
    marks: tuple[SpeechMark, ...] = Field(default=(), max_length=MARKS)
    """Of a text in SSML, which `text` is without: breaks, speeds, pronunciations."""
    voices: tuple[VoiceMark, ...] = Field(default=(), max_length=MARKS)
    """Parts of the text that other voices speak than the session's."""
    keeps: KeptReading | None = None
    """Reading of the same text whose sound this turn has where it speaks nothing again."""
    input: str | None = None
    """It was spoken: this is the input ..."""
    utterances: tuple[int, ...] = ()
    """... and these are its utterances."""
    merges: int | None = None
    """The turn that this one replaces: the speaker went on before anything of its answer was heard."""
    given: tuple[GivenMessage, ...] | None = None
    """All that the model is told, the question with it, from a client that keeps the conversation itself;
    None: the session's own turns and `text`."""
    by: str = ""
    """Member of the session that asked; empty: its owner."""
    narrate: bool | None = None
    """Of a story's scene: whether it is read out by itself once it is complete, as the user's settings were
    when it was asked for. None: as they are when it is complete (events of older versions)."""
    traceparent: str = ""
    """The caller's span (W3C Trace Context), whose trace the turn continues; empty: the turn has its own."""
    result_of: int | None = None
    """The turn whose asynchronous function has returned what `text` tells; None: a question."""
    replaces: int | None = None
    """The turn whose place this one takes: a scene, unless this one fails or is stopped; a question of a chat
    and all that follows it, unless this one ends without a word."""
    continues: int | None = None
    """The turn whose answer this one goes on with: clients show both as one answer, and `text` is no question
    but tells the model to go on. None: it begins an answer."""

    @property
    def chars(self) -> int:
        return len(self.text) if self.given is None else sum(len(one.content) for one in self.given)


class TurnStopRequested(_Event):
    type: Literal["turn.stop_requested"] = "turn.stop_requested"
    v: Literal[1] = 1
    reason: Literal["user", "barge_in", "merged"] = "user"
    by: str = ""
    """Name of the member that stopped it; empty: the owner, or the server."""


class SentenceSkipRequested(_Event):
    type: Literal["sentence.skip_requested"] = "sentence.skip_requested"
    v: Literal[1] = 1
    sentence: int


class PlaybackPaused(_Event):
    """Listeners hold their output here; no further sentence is synthesised."""

    type: Literal["playback.paused"] = "playback.paused"
    v: Literal[1] = 1
    by: Literal["user", "voice"] = "user"
    """`voice`: somebody speaks over the answer, or something sounds like it."""


class PlaybackResumed(_Event):
    type: Literal["playback.resumed"] = "playback.resumed"
    v: Literal[1] = 1
    by: Literal["user", "voice"] = "user"


Event = Annotated[
    SessionStarted
    | SettingsChanged
    | SessionRenamed
    | MemberAdded
    | MemberRemoved
    | CharacterSaved
    | CharacterDeleted
    | SessionEndRequested
    | SessionEnded
    | OwnerChanged
    | TurnRequested
    | TurnStopRequested
    | SentenceSkipRequested
    | PlaybackPaused
    | PlaybackResumed
    | TurnStarted
    | TurnResumed
    | TextDelta
    | TextCompleted
    | SentenceReady
    | SentenceVoiced
    | AudioChunk
    | SentenceCompleted
    | SentenceFailed
    | SentenceSkipped
    | PassagesFound
    | PassagesFailed
    | AnswerCited
    | ToolCalled
    | ToolCompleted
    | ToolFailed
    | ToolStarted
    | TurnCompleted
    | TurnStopped
    | TurnFailed
    | NarrationRequested
    | NarrationReady
    | NarrationFailed
    | PreferencesChanged
    | NotificationRaised
    | NotificationsDelivered
    | ShareCreated
    | ShareRevoked
    | DocumentProgressed
    | DocumentAdded
    | DocumentFailed
    | DocumentRemoved
    | InputOpened
    | InputAudio
    | InputProgress
    | InputClosed
    | SpeechStarted
    | SpeechEnded
    | SpeechDiscarded
    | TranscriptPartial
    | TranscriptFinal
    | TranscriptFailed
    | TranscriptCompared
    | PlaybackHeard
    | PlaybackEnded
    | PlaybackFlushed
    | RealtimeConfigured
    | ItemAdded
    | ItemRemoved
    | ItemTruncated
    | ResponseAsked
    | InputCleared
    | InputIdled
    | CallHungUp
    | CallConnected
    | CallTransferred
    | DtmfReceived
    | StreamCreated
    | StreamAppended
    | StreamClosed
    | StreamRead
    | StreamNamed
    | StreamForked,
    Field(discriminator="type"),
]

EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
TERMINAL: Final = frozenset({"turn.completed", "turn.stopped", "turn.failed"})
"""Every turn ends in exactly one of these."""

TRIGGERS: Final = frozenset(
    {
        "session.started",
        "session.ended",
        "session.renamed",
        "member.added",
        "member.removed",
        "settings.changed",
        "owner.changed",
        "turn.requested",
        "turn.completed",
        "turn.stopped",
        "turn.failed",
        "text.completed",
        "tool.started",
        "session.end_requested",
        "narration.requested",
        "transcript.final",
        "transcript.failed",
        "playback.ended",
    }
)
"""Types that also leave a pointer in the partition's trigger stream, for the workers."""


def payload(event: Event) -> dict[str, Any]:
    """Returns the stored data of an event beside its envelope: every field but `type` and `v`."""
    return event.model_dump(mode="json", exclude={"type", "v"})
