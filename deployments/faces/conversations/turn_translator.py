"""From a turn's events to the messages of a conversation's clients: chunks, sound, and the end of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.audio.audio_files import StoredChunk
from pipeline.delivery.sentence_audio import SentenceSound
from pipeline.rag.citations import annotations, citations
from pipeline.session_state.turn_state import TurnState, apply_to_turn
from schemas.errors import InputError
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, is_digits

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class EventPosition:
    """Position of a client: it has all messages of the event at `seq` up to number `part`."""

    seq: Seq
    part: int = 0


@dataclass(frozen=True, slots=True)
class TranslatedTurn:
    """One message; where it has `sound`, that is still to be encoded."""

    place: EventPosition
    message: Message
    sound: tuple[StoredChunk, ...] = ()


def event_id(turn: TurnId, place: EventPosition) -> str:
    return f"{turn}-{place.seq}-{place.part}"


def parse_event_id(text: str) -> tuple[TurnId, EventPosition]:
    """Raises InputError for what is no id of ours."""
    parts = text.split("-")
    if len(parts) != 3 or not all(is_digits(p) for p in parts):
        raise InputError("this is no id of a message of this stream", field="Last-Event-ID")
    turn, seq, part = map(int, parts)
    return TurnId(turn), EventPosition(Seq(seq), part)


@dataclass
class TurnMessages:
    """Knows the turn from its first event on, so that a client may begin anywhere."""

    thread: str
    state: TurnState
    """As it was requested; it grows here."""
    chunk_size: int | None = None
    """Characters of a chunk at most; None: as they come."""
    _sound: SentenceSound = field(default_factory=SentenceSound)

    @property
    def over(self) -> bool:
        return self.state.over

    def take(self, recorded: Recorded) -> Iterator[TranslatedTurn]:
        """The messages that follow from the next event of the session."""
        if recorded.turn != self.state.turn:
            return
        apply_to_turn(self.state, recorded)
        data, seq = recorded.data, recorded.seq
        match recorded.type:
            case "text.delta":
                for part, piece in enumerate(self._pieces(data["text"])):
                    yield TranslatedTurn(EventPosition(seq, part), self._message("chunk", content=piece))
            case "audio.chunk":
                self._sound.take(recorded)
            case "sentence.completed" | "sentence.skipped":
                yield from self._sentence(data["sentence"], seq)
            case kind if kind in TERMINAL:
                yield TranslatedTurn(EventPosition(seq), self._end())

    def _message(self, kind: str, **fields: Any) -> Message:
        further = {"continues": self.state.continues} if self.state.continues else {}
        return {"type": kind, **fields, **further, "threadId": self.thread}

    def _pieces(self, text: str) -> list[str]:
        size = self.chunk_size or len(text)
        return [text[at : at + size] for at in range(0, len(text), size)]

    def _sentence(self, number: int, seq: Seq) -> Iterator[TranslatedTurn]:
        sentence, sound = self.state.sentences[number], tuple(self._sound.of(number))
        if sound:
            message = self._message(
                "audio",
                sentence=number,
                text=self.state.answer[sentence.start : sentence.end].strip() or sentence.spoken,
                start_ms=sentence.at_ms,
                end_ms=sentence.at_ms + sentence.ms,
            )
            yield TranslatedTurn(EventPosition(seq), message, sound)

    def _end(self) -> Message:
        state = self.state
        if state.error is not None:
            return self._message(
                "error",
                message=state.error["message"],
                code=state.error["code"],
                retryable=state.error.get("retryable", False),
                content=state.answer,
            )
        done = self._message(
            "done",
            content=state.answer,
            citations=[one.model_dump(mode="json") for one in citations(state)],
            annotations=annotations(state),
            messageId=str(state.turn),
        )
        return {**done, "stopped": True} if state.status == "stopped" else done
