"""From a turn's events to the messages of a scene's socket, in the words of the stories' clients."""

from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.audio.audio_files import StoredChunk
from pipeline.audio.audio_formats import AudioFormat
from pipeline.core.texts import GrowingText
from pipeline.delivery.sentence_audio import SentenceSound
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId

Message = dict[str, Any]
FORMAT: Final[AudioFormat] = "mp3"


@dataclass(frozen=True, slots=True)
class TranslatedScene:
    """A message that follows from the event at `seq`; where it has `sound`, that is still to be encoded."""

    seq: Seq
    message: Message
    sound: tuple[StoredChunk, ...] = ()


@dataclass
class SceneMessages:
    """Knows the scene from its first event on, so that numbers are right wherever a client begins."""

    scene_id: str
    turn: TurnId
    over: bool = False
    _text: GrowingText = field(default_factory=GrowingText)
    _spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    _sound: SentenceSound = field(default_factory=SentenceSound)
    _spoken: int = 0

    def take(self, recorded: Recorded) -> TranslatedScene | None:
        """The next event of the session; None where it means nothing to the client."""
        if recorded.turn != self.turn:
            return None
        data = recorded.data
        match recorded.type:
            case "turn.started":
                text = "Starting scene generation with real-time narration"
                return TranslatedScene(recorded.seq, {"type": "generation_started", "message": text})
            case "text.delta":
                self._text.add(data["text"])
                return TranslatedScene(recorded.seq, {"type": "text_chunk", "text": data["text"]})
            case "sentence.ready":
                self._spans[data["sentence"]] = data["start"], data["end"]
            case "audio.chunk":
                self._sound.take(recorded)
            case "sentence.completed" | "sentence.failed" | "sentence.skipped":
                return self._sentence(recorded)
            case kind if kind in TERMINAL:
                self.over = True
                return TranslatedScene(recorded.seq, self._end(recorded))
        return None

    def _sentence(self, recorded: Recorded) -> TranslatedScene | None:
        """A sentence with sound is a chunk. One without, or whose voice broke off, does not count."""
        number = recorded.data["sentence"]
        sound = tuple(self._sound.of(number))
        start, end = self._spans.pop(number, (0, 0))  # an imported sentence may end twice
        if not sound or recorded.type == "sentence.failed":
            return None
        message = {
            "type": "audio_chunk",
            "audio": "",
            "sentence_number": self._spoken,
            "sentence_text": self._text.piece(start, end).strip(),
            "format": FORMAT,
        }
        self._spoken += 1
        return TranslatedScene(recorded.seq, message, sound)

    def _end(self, recorded: Recorded) -> Message:
        if recorded.type == "turn.failed":
            return {
                "type": "error",
                "message": recorded.data["message"],
                "code": recorded.data["code"],
                "retryable": recorded.data.get("retryable", False),
            }
        message: Message = {
            "type": "generation_complete",
            "scene_id": self.scene_id,
            "total_sentences": self._spoken,
            "total_length": len(self._text),
        }
        if recorded.type == "turn.stopped":
            message["stopped"] = True
        return message
