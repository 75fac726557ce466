"""From the events of what is heard to the events of the input audio buffer."""

from typing import Any, Final

from deployments.faces.realtime.item_views import Shown, shown_item
from pipeline.session_state.conversation import Conversation
from pipeline.stt.turn_policy import spoken_over
from schemas.events.recorded import Recorded

_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


class InputBufferEvents:
    """A pure translation. Times count all sound that was sent, whichever microphone it came from."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._begins: dict[str, int] = {}
        """Position at which each input begins."""
        self._total_ms = 0
        self._sent: dict[str, str] = {}
        """Of transcripts, what has been told."""
        self._withheld: dict[tuple[str, int], list[Shown]] = {}
        """Beginning and end of each utterance over an answer, until it is known whether it interrupts."""

    def of(self, recorded: Recorded) -> list[Shown]:
        """The events that follow from an event about an input, which the conversation has taken in."""
        data = recorded.data
        match recorded.type:
            case "input.opened":
                self._begins.setdefault(data["input"], self._total_ms)
            case "input.closed":
                self._total_ms = max(self._total_ms, self.at(data["input"], data["ms"]))
            case "input.cleared":
                return [{"type": "input_audio_buffer.cleared"}]
            case "speech.started" if self._detects:
                return self._started(recorded)
            case "speech.ended":
                return self._ended(data)
            case "speech.discarded":
                self._withheld.pop(_utterance(data), None)
            case "transcript.partial" | "transcript.final" | "transcript.failed":
                return [*self._meant(recorded), *self._transcript(recorded)]
        return []

    def _meant(self, recorded: Recorded) -> list[Shown]:
        """The withheld events, if the words turn out to be more than agreement."""
        if recorded.type == "transcript.partial":
            return []
        told = self._withheld.pop(_utterance(recorded.data), [])
        return told if recorded.data.get("taken") not in (None, "backchannel", "nothing") else []

    def _transcript(self, recorded: Recorded) -> list[Shown]:
        data = recorded.data
        known = (data["input"], data["utterance"]) in self._conversation.items.spoken
        return self._written(recorded) if known and self.transcribes else []

    @property
    def _input(self) -> dict[str, Any]:
        found: dict[str, Any] = (self._conversation.items.config or {}).get("audio", {}).get("input", {})
        return found

    @property
    def _detects(self) -> bool:
        return self._input.get("turn_detection") is not None

    @property
    def transcribes(self) -> bool:
        """Whether clients get the transcripts of the input."""
        return self._input.get("transcription") is not None

    def at(self, name: str, ms: int) -> int:
        """A place in an input, as clients count."""
        return self._begins.get(name, 0) + ms

    def _item(self, data: Any) -> str:
        return self._conversation.items.spoken[data["input"], data["utterance"]]

    def _started(self, recorded: Recorded) -> list[Shown]:
        """Clients silence themselves when they are told that somebody speaks. Where an answer is held first,
        speech over it is told only when it interrupts: words of agreement are not."""
        data, listening = recorded.data, self._conversation.settings.listening
        started = {
            "type": "input_audio_buffer.speech_started",
            "audio_start_ms": self.at(data["input"], data["at_ms"]),
            "item_id": self._item(data),
        }
        held_first = listening.barge_in and listening.interrupt_ms > listening.hold_ms
        if not held_first or spoken_over(self._conversation, recorded.ts_ms) is None:
            return [started]
        self._withheld[_utterance(data)] = [started]
        return []

    def interrupted(self) -> list[Shown]:
        """The answer is over: the withheld events of the speech over it."""
        told = [event for events in self._withheld.values() for event in events]
        self._withheld.clear()
        return told

    def _ended(self, data: Any) -> list[Shown]:
        name = self._item(data)
        stopped = {
            "type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": self.at(data["input"], data["at_ms"]),
            "item_id": name,
        }
        if (withheld := self._withheld.get(_utterance(data))) is not None:
            withheld.append(stopped)
            return self.committed(name)
        return [*([stopped] if self._detects else []), *self.committed(name)]

    def committed(self, name: str) -> list[Shown]:
        """The committed audio becomes an item."""
        items = self._conversation.items
        previous = items.before(name)
        item = shown_item(items.known[name], self._conversation.turns)
        return [
            {"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": name},
            {"type": "conversation.item.added", "previous_item_id": previous, "item": item},
            {"type": "conversation.item.done", "previous_item_id": previous, "item": item},
        ]

    def written(self, name: str, text: str, seconds: float) -> list[Shown]:
        """The whole of a transcript."""
        sent, events = self._sent.pop(name, ""), []
        about = {"item_id": name, "content_index": 0}
        if text.startswith(sent) and len(text) > len(sent):
            events.append({"type": f"{_TRANSCRIPTION}.delta", **about, "delta": text[len(sent) :]})
        usage = {"type": "duration", "seconds": seconds}
        return [*events, {"type": f"{_TRANSCRIPTION}.completed", **about, "transcript": text, "usage": usage}]

    def _written(self, recorded: Recorded) -> list[Shown]:
        data, name = recorded.data, self._item(recorded.data)
        about = {"item_id": name, "content_index": 0}
        match recorded.type:
            case "transcript.final":
                return self.written(name, data["text"], (data["end_ms"] - data["start_ms"]) / 1_000)
            case "transcript.failed":
                self._sent.pop(name, None)
                error = {
                    "type": "server_error",
                    "code": data["code"],
                    "message": data["message"],
                    "param": None,
                }
                return [{"type": f"{_TRANSCRIPTION}.failed", **about, "error": error}]
        sent, stable = self._sent.get(name, ""), data["text"][: data["stable"]]
        if not stable.startswith(sent) or len(stable) <= len(sent):
            return []
        self._sent[name] = stable
        return [{"type": f"{_TRANSCRIPTION}.delta", **about, "delta": stable[len(sent) :]}]


def _utterance(data: Any) -> tuple[str, int]:
    return data["input"], data["utterance"]
