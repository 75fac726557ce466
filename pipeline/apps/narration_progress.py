"""A narration as its listeners follow it: sentence by sentence, n of m, from wherever they left off."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pipeline.core.texts import GrowingText
from pipeline.delivery.sentence_audio import expected_total
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import SentenceState, TurnState
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId


@dataclass(frozen=True, slots=True)
class Source:
    """The turn whose sentences are the chunks, and the session it is in."""

    session: SessionId
    turn: TurnId
    conversation: Conversation

    @property
    def state(self) -> TurnState:
        return self.conversation.turns[self.turn]

    @property
    def text(self) -> str:
        """Text that is read out, as far as it is known: a given text is known from the start."""
        return self.state.text if self.state.kind == "text" else self.state.answer


@dataclass(frozen=True, slots=True)
class NarrationChunk:
    """A sentence whose sound is whole; chunks count the sentences that can be heard."""

    number: int
    text: str
    sentence: SentenceState


class ProgressFold:
    """Fold of a turn's events for a listener: counts, and the sentences that are being made.

    It holds the text and a few sentences, however long the turn is, and each event costs the same.
    """

    def __init__(self, source: Source) -> None:
        state = source.state
        self._given = state.text if state.kind == "text" else None
        self._settings = state.settings
        self._turn = source.turn
        self._text = GrowingText(self._given or "")
        self._open: dict[int, SentenceState] = {}
        self._cut = 0
        self._first_error: tuple[str, str] | None = None
        self._failure: dict[str, Any] = {}
        self.wanted = 0
        """Sentences to be spoken, as far as the text is cut."""
        self.heard = 0
        """Those whose sound is whole, however little it is."""
        self.audio_ms = 0
        self.end: str | None = None
        """The type of the turn's terminal event."""

    async def total(self) -> int:
        """How many chunks there will be, as far as it can be told."""
        if self.end is not None:
            return self.heard
        if self._given is None:
            return max(self.wanted, self.heard)
        return await expected_total(self._given, self._settings, cut=self._cut, known=self.wanted)

    def take(self, recorded: Recorded) -> NarrationChunk | None:
        """The next event of the session; the chunk that it completes."""
        if recorded.turn != self._turn:
            return None
        data = recorded.data
        match recorded.type:
            case "text.delta" if self._given is None:
                self._text.add(data["text"])
            case "sentence.ready":
                self._cut = data["end"]
                self.wanted += bool(data["spoken"])
                if data["spoken"]:
                    number = data["sentence"]
                    self._open[number] = SentenceState(number, data["start"], data["end"], data["spoken"])
            case "audio.chunk" if (sentence := self._open.get(data["sentence"])) is not None:
                sentence.first_chunk = sentence.first_chunk or recorded.seq
                sentence.chunks = data["chunk"] + 1
                sentence.ms += data["ms"]
                self.audio_ms = data["at_ms"] + data["ms"]
            case "sentence.completed" | "sentence.failed" | "sentence.skipped":
                return self._close(recorded)
            case kind if kind in TERMINAL:
                self.end, self._failure = kind, dict(data)
        return None

    def _close(self, recorded: Recorded) -> NarrationChunk | None:
        data = recorded.data
        sentence = self._open.pop(data["sentence"], None)
        if sentence is None:  # of a bundle: it has ended before
            return None
        if recorded.type == "sentence.failed":
            self._first_error = self._first_error or (data["code"], data["message"])
            return None
        if not sentence.chunks:
            return None
        self.heard += 1
        return NarrationChunk(
            self.heard - 1, self._text.piece(sentence.start, sentence.end).strip(), sentence
        )

    def last_words(self) -> dict[str, Any]:
        """The last message: what became of it."""
        silent = bool(self.wanted) and not self.heard
        if self.end == "turn.failed" or (silent and self.end == "turn.completed"):
            code, message = self._first_error or (
                self._failure.get("code", "narration.silent"),
                self._failure.get("message", "nothing was spoken"),
            )
            return {"type": "error", "message": message, "code": code, "retryable": True}
        return {
            "type": "complete",
            "total_chunks": self.heard,
            "missing_chunks": self.wanted - self.heard,
            "duration_ms": self.audio_ms,
            "stopped": self.end == "turn.stopped",
        }


class NarrationProgress:
    """Follows one turn from its request on, with a fold of its own: shared views move under one's feet."""

    def __init__(self, tailer: Tailer, source: Source) -> None:
        self._tailer = tailer
        self._session, self._turn = source.session, source.turn
        self.fold = ProgressFold(source)

    async def counts(self) -> dict[str, int]:
        """How far it is: `n` of `m`."""
        made = self.fold.heard
        return {"chunks_ready": made, "total_chunks": max(made, await self.fold.total())}

    async def chunks(self, after: int) -> AsyncGenerator[NarrationChunk, None]:
        """Each chunk beyond number `after`, as soon as its sound is whole; to the turn's end."""
        async with self._tailer.follow(self._session, Seq(self._turn)) as batches:
            async for batch in batches:
                for recorded in batch:
                    chunk = self.fold.take(recorded)
                    if chunk is not None and chunk.number > after:
                        yield chunk
                    if self.fold.end is not None:
                        return
