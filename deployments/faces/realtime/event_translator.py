"""From a session's events to the server events of the Realtime API: pure, and everywhere the same."""

from dataclasses import dataclass
from typing import Any, Final

from deployments.faces.realtime.input_buffer_events import InputBufferEvents
from deployments.faces.realtime.item_views import Shown, shown_item
from deployments.faces.realtime.response_events import Responses
from deployments.faces.realtime.session_config import shown
from pipeline.session_state.conversation import Conversation
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

PER_EVENT: Final = 64
"""Numbers of an event's events; no event has more of them."""
LAST: Final = PER_EVENT - 1


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event, and the sound that belongs into it."""

    data: dict[str, Any]
    sound: Recorded | None = None
    format: str = "audio/pcm"

    @property
    def number(self) -> int:
        found: int = self.data["sequence_number"]
        return found


def position(seq: Seq, index: int = LAST) -> int:
    """The number of an event's event; without an index: all of them have been told."""
    return seq * PER_EVENT + index


class Translator:
    """Folds events, in order, each once, and says the events of each."""

    def __init__(self, session: SessionId) -> None:
        self.session = session
        self.conversation = Conversation()
        self._input_events = InputBufferEvents(self.conversation)
        self._responses = Responses(self.conversation)

    def apply(self, recorded: Recorded) -> list[ServerEvent]:
        """The events that follow from the next event."""
        self.conversation.apply(recorded)
        return [
            ServerEvent(
                {
                    "event_id": f"event_{self.conversation.items.tag}_{recorded.seq}_{index}",
                    "sequence_number": position(recorded.seq, index),
                    **data,
                },
                recorded if data["type"] == "response.output_audio.delta" else None,
                self._responses.format(recorded.turn),
            )
            for index, data in enumerate(self._events(recorded))
        ]

    def _events(self, recorded: Recorded) -> list[Shown]:
        data, items = recorded.data, self.conversation.items
        match recorded.type:
            case "realtime.configured" if not data["created"]:
                return [{"type": "session.updated", "session": shown(self.session, data["config"])}]
            case "item.added":
                return self._added(recorded)
            case "item.removed":
                return [{"type": "conversation.item.deleted", "item_id": data["item"]}]
            case "item.truncated":
                about = {"item_id": data["item"], "content_index": data["content_index"]}
                end = {"audio_end_ms": data["audio_end_ms"]}
                return [{"type": "conversation.item.truncated", **about, **end}]
            case "turn.requested":
                name = items.item_id(recorded.seq)
                return self._whole(name) if name in items.known else []
            case "input.idled":
                return [
                    {
                        "type": "input_audio_buffer.timeout_triggered",
                        "audio_start_ms": self._input_events.at(data["input"], data["start_ms"]),
                        "audio_end_ms": self._input_events.at(data["input"], data["end_ms"]),
                        "item_id": items.item_id(Seq(recorded.seq + 1)),
                    }
                ]
            case "playback.flushed":
                return [*self._input_events.interrupted(), *self._responses.of(recorded)]
        return self._responses.of(recorded) if recorded.turn else self._input_events.of(recorded)

    def _added(self, recorded: Recorded) -> list[Shown]:
        name = recorded.data["item"].get("id") or self.conversation.items.item_id(recorded.seq)
        if self.conversation.items.known[name].seq != recorded.seq:
            return []  # another item has this id already, see Items
        if not recorded.data["committed"]:
            return self._whole(name)
        written = self._input_events.written(name, "", 0.0) if self._input_events.transcribes else []
        return [*self._input_events.committed(name), *written]

    def _whole(self, name: str) -> list[Shown]:
        """An item that is there all at once."""
        items = self.conversation.items
        about = {
            "previous_item_id": items.before(name),
            "item": shown_item(items.known[name], self.conversation.turns),
        }
        return [{"type": f"conversation.item.{kind}", **about} for kind in ("added", "done")]
