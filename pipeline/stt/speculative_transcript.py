"""A text made in the hope that the silence is the end: what is known of it, and whose it becomes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from pipeline.engines.ports import Transcript
from schemas.settings.listening_settings import Mode

Told = Callable[[str], Awaitable[None]]
"""Hears the text as far as it has come."""


@dataclass(frozen=True, slots=True)
class SpeculativeText:
    """What one way made of an utterance."""

    mode: Mode
    transcript: Transcript
    from_ms: int
    """Where the sound began that it was made from."""
    cpu_ms: float
    revisions: int = 0


class SpeculativeTranscript:
    """Of one silence. Nobody hears of it before it is known to be the end."""

    def __init__(self, end_ms: int) -> None:
        self.end_ms = end_ms
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.written: SpeculativeText | None = None
        self._text = ""
        self._reader: Told | None = None

    @property
    def text(self) -> str:
        return self.written.transcript.text if self.written is not None else ""

    @property
    def language(self) -> str:
        return self.written.transcript.language if self.written is not None else ""

    async def told(self, text: str) -> None:
        """The engine has come so far."""
        self._text = text
        if self._reader is not None:
            await self._reader(text)

    async def adopted(self, reader: Told) -> SpeculativeText | None:
        """It was the end: `reader` hears how far it is, and what comes. None: it could not be made."""
        if not self.done.is_set():
            self._reader = reader
            if self._text:
                await reader(self._text)
            await self.done.wait()
        return self.written
