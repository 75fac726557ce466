"""The messages of the voice assistant's socket, client to server, and the answer of its older HTTP mode."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.listening import Mode


class AssistantCommand(BaseModel):
    """What a client says beside its sound."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    type: Literal["audio-chunk", "commit", "stop", "playback", "ping"]
    chunk: Annotated[str, Field(max_length=1_400_000)] | None = None
    """`audio-chunk`: sound in base64; the same may be sent as a binary frame."""
    turn: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """`playback`: of this turn ..."""
    ms: Annotated[int, Field(ge=0, le=2**40)] | None = None
    """... so much was heard."""


class AssistantReply(BaseModel):
    """What was said, and the whole answer to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    session_id: str
    turn: int | None
    """None: nothing was said."""
    transcript: str
    reply: str
    audio: str
    """MP3 in base64."""
    format: Literal["mp3"] = "mp3"
    mode: Mode
