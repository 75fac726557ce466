"""Question and sink of an answer: the two sides of `pipeline.turn.generation`."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.engines.ports import Message
from schemas.events import Event
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the conversation before it."""

    text: str
    settings: SessionSettings
    history: tuple[Message, ...] = ()
    given: tuple[GivenMessage, ...] | None = None
    """All that the model is told, where the client keeps the conversation itself."""
    room: int = 4_000
    """Characters that the model can be told, about."""
    session: str = ""
    turn: int = 0
    asked_by: str = ""
    """The principal; empty on an open server."""


class AnswerSink(Protocol):
    """Sink of an answer's text, events and speech."""

    async def record(self, event: Event) -> None: ...

    async def settle(self) -> None:
        """Return when everything recorded so far is in the log."""

    async def emit_text(self, text: str) -> None:
        """The text goes on."""

    async def flush_sentence(self) -> None:
        """The text pauses here: what was shown can be spoken to its end."""

    async def speak_aside(self, text: str) -> None:
        """Say something that is no part of the text."""
