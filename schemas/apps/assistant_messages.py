"""The messages of the voice assistant's socket, client to server, and the answer of its older HTTP mode."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from schemas.document_models import ClosedModel, RequestModel
from schemas.events.voice_events import Taken
from schemas.settings.listening_settings import Mode


class AssistantCommand(RequestModel):
    """Messages of a client beside its audio."""

    type: Literal["audio-chunk", "commit", "stop", "playback", "ping"]
    chunk: Annotated[str, Field(max_length=1_400_000)] | None = None
    """`audio-chunk`: sound in base64; the same may be sent as a binary frame."""
    turn: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """`playback`: of this turn ..."""
    ms: Annotated[int, Field(ge=0, le=2**40)] | None = None
    """... so much was heard."""


class AssistantReply(ClosedModel):
    """Transcript of a recording, and the whole answer to it."""

    session_id: str
    turn: int | None
    """None: nothing was said."""
    transcript: str
    reply: str
    audio: str
    """MP3 in base64."""
    format: Literal["mp3"] = "mp3"
    mode: Mode
    """How it was listened to."""


# ---------------------------------------------------------------- server to client


class VoiceSession(ClosedModel):
    """The first message: the session that the conversation is."""

    type: Literal["session"] = "session"
    session_id: str
    mode: Mode
    """How it listens."""
    over: int | None
    """The latest turn that is over: nothing is told of it, or of those before, unless `after` asks for it."""


class VoiceTranscriptPartial(ClosedModel):
    """Partial transcript; the first `stable` characters will not change."""

    type: Literal["transcript-partial"] = "transcript-partial"
    text: str
    stable: int


class VoiceTranscript(ClosedModel):
    """Final transcript, and the decision about it."""

    type: Literal["transcript"] = "transcript"
    text: str
    taken: Taken


class VoiceToken(ClosedModel):
    """A piece of the answer's text."""

    type: Literal["token"] = "token"
    token: str
    turn: int


class VoiceAudioChunk(ClosedModel):
    """The sound of the next piece of the answer: an MP3 file in base64."""

    type: Literal["audio-chunk"] = "audio-chunk"
    chunk: str
    format: Literal["mp3"]
    turn: int


class VoiceAudioDone(ClosedModel):
    """All sound of the answer has been sent."""

    type: Literal["audio-done"] = "audio-done"
    turn: int


class VoiceDone(ClosedModel):
    """The answer is over."""

    type: Literal["done"] = "done"
    turn: int
    stopped: bool = False
    """It was stopped or interrupted."""


class VoiceHold(ClosedModel):
    """A user speaks: the client pauses its playback and keeps its audio."""

    type: Literal["hold"] = "hold"


class VoiceRelease(ClosedModel):
    """Go on playing."""

    type: Literal["release"] = "release"


class VoiceFlush(ClosedModel):
    """Drop what you have of this turn's sound: the answer was interrupted."""

    type: Literal["flush"] = "flush"
    turn: int


class VoiceError(ClosedModel):
    """Something failed, or a message of the client's was wrong."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool = False
    field: str | None = None
    turn: int | None = None


class VoicePong(ClosedModel):
    type: Literal["pong"] = "pong"


ASSISTANT_MESSAGES: Final[tuple[type[BaseModel], ...]] = (
    VoiceSession,
    VoiceTranscriptPartial,
    VoiceTranscript,
    VoiceToken,
    VoiceAudioChunk,
    VoiceAudioDone,
    VoiceDone,
    VoiceHold,
    VoiceRelease,
    VoiceFlush,
    VoiceError,
    VoicePong,
)
