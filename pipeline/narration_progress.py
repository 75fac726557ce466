"""A narration as its listeners follow it: sentence by sentence, n of m, from wherever they left off."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pipeline.conversation import Conversation
from pipeline.log.base import EventLog
from pipeline.log.tailer import Tailer
from pipeline.sentence_audio import audible, finished, total_of
from pipeline.turn_state import SentenceState, TurnState
from schemas.ids import SessionId, TurnId
from schemas.recorded import Recorded


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
        """What is read out, as far as it is known: a given text is known from the start."""
        return self.state.text if self.state.kind == "text" else self.state.answer


class NarrationProgress:
    """Follows one turn from its first fact, with a fold of its own: shared views move under one's feet."""

    def __init__(self, log: EventLog, tailer: Tailer, source: Source) -> None:
        self._log = log
        self._tailer = tailer
        self.source = Source(source.session, source.turn, Conversation())

    async def counts(self) -> dict[str, int]:
        """How far it is: `n` of `m`."""
        if self.source.turn not in self.source.conversation.turns:
            await self._begin()
        state = self.source.state
        made = sum(finished(sentence) for sentence in audible(state))
        return {"chunks_ready": made, "total_chunks": max(made, await total_of(state, self.source.text))}

    def text(self, sentence: SentenceState) -> str:
        """The shown text of a sentence."""
        return self.source.state.answer[sentence.start : sentence.end].strip()

    async def chunks(self, after: int) -> AsyncGenerator[tuple[int, SentenceState], None]:
        """Number and sentence of each chunk beyond `after`, as soon as its sound is whole."""
        if self.source.turn not in self.source.conversation.turns:
            await self._begin()
        number = after + 1
        async with self._tailer.follow(self.source.session, self.source.conversation.head) as batches:
            while True:
                heard = audible(self.source.state)
                while number < len(heard) and finished(heard[number]):
                    yield number, heard[number]
                    number += 1
                if self.source.state.over:
                    return
                for recorded in await anext(batches):
                    self._apply(recorded)

    async def _begin(self) -> None:
        """Take in what there is up to the turn's request."""
        conversation = self.source.conversation
        while self.source.turn not in conversation.turns:
            for recorded in await self._log.read(self.source.session, conversation.head, limit=500):
                self._apply(recorded)

    def _apply(self, recorded: Recorded) -> None:
        self.source.conversation.apply(recorded)

    async def end(self) -> dict[str, Any]:
        """The last message: what became of it."""
        state = self.source.state
        heard = audible(state)
        wanted = sum(bool(sentence.spoken) for sentence in state.sentences)
        if state.status == "failed" or (wanted and not heard and state.status == "completed"):
            error = state.error or {}
            code, message = next(
                (s.error for s in state.sentences if s.error),
                (error.get("code", "narration.silent"), error.get("message", "nothing was spoken")),
            )
            return {"type": "error", "message": message, "code": code, "retryable": True}
        return {
            "type": "complete",
            "total_chunks": len(heard),
            "missing_chunks": wanted - len(heard),
            "duration_ms": state.audio_ms,
            "stopped": state.status == "stopped",
        }
