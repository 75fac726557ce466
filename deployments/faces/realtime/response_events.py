"""From the events of turns to the events of responses."""

from dataclasses import dataclass, field

from deployments.faces.realtime.item_views import Shown, shown_item, shown_response
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import TurnId


@dataclass(slots=True)
class _Response:
    """State of one response as its client knows it."""

    id: str
    announced: bool = False
    """That it is there."""
    muted: bool = False
    """Silences the rest of the response."""
    message: str | None = None
    text: list[str] = field(default_factory=list)
    output: dict[str, int] = field(default_factory=dict)
    """Its items, and the place of each."""


class Responses:
    """A pure translation: the same events always give the same events, in the same order."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._open: dict[TurnId, _Response] = {}

    def format(self, turn: TurnId) -> str:
        """The type of the format that its sound is sent in."""
        config = self._conversation.items.config_of(turn)
        found: str = config.get("audio", {}).get("output", {}).get("format", {}).get("type", "audio/pcm")
        return found

    def of(self, recorded: Recorded) -> list[Shown]:
        """The events that follow from an event about a turn, which the conversation has taken in."""
        turn = self._conversation.turns.get(TurnId(recorded.turn))
        if turn is None:
            return []
        if recorded.type in TERMINAL:
            return self._end(turn)
        known = self._open.setdefault(turn.turn, _Response(self._conversation.items.response_id(turn.turn)))
        match recorded.type:
            case "turn.started":
                return self._begin(known, turn)
            case "turn.stop_requested" | "playback.flushed":
                known.muted = True
                return []
            case "text.delta" if not known.muted:
                return [*self._begin(known, turn), *self._write(known, turn, recorded.data["text"])]
            case "audio.chunk" if not known.muted and known.message is not None:
                return [{"type": "response.output_audio.delta", **self._part(known), "delta": ""}]
            case "tool.called" if recorded.data["place"] == "client" and not known.muted:
                return [*self._begin(known, turn), *self._call(known, recorded)]
        return []

    def _begin(self, known: _Response, turn: TurnState) -> list[Shown]:
        if known.announced:
            return []
        known.announced = True
        return [{"type": "response.created", "response": self._shown(known, turn)}]

    def _shown(self, known: _Response, turn: TurnState) -> Shown:
        items, turns = self._conversation.items, self._conversation.turns
        output = [shown_item(items.known[name], turns) for name in known.output] if turn.over else []
        return shown_response(items, turns, turn, output)

    def _part(self, known: _Response) -> Shown:
        return {
            "response_id": known.id,
            "item_id": known.message,
            "output_index": known.output[known.message or ""],
            "content_index": 0,
        }

    def _announce(self, known: _Response, name: str) -> list[Shown]:
        """One item more."""
        items, turns = self._conversation.items, self._conversation.turns
        known.output[name] = len(known.output)
        item = items.known[name]
        begun = shown_item(item, turns, begun=True)
        added: list[Shown] = [
            {
                "type": "response.output_item.added",
                "response_id": known.id,
                "output_index": len(known.output) - 1,
                "item": begun,
            }
        ]
        if not items.outside(item.turn):
            previous = items.before(name)
            added.append({"type": "conversation.item.added", "previous_item_id": previous, "item": begun})
        return added

    def _finish(self, known: _Response, name: str) -> list[Shown]:
        """Nothing more comes of the item."""
        items, turns = self._conversation.items, self._conversation.turns
        item = items.known[name]
        whole = shown_item(item, turns)
        done: list[Shown] = []
        if not items.outside(item.turn):
            previous = items.before(name)
            done.append({"type": "conversation.item.done", "previous_item_id": previous, "item": whole})
        output = {"response_id": known.id, "output_index": known.output[name], "item": whole}
        return [*done, {"type": "response.output_item.done", **output}]

    def _write(self, known: _Response, turn: TurnState, text: str) -> list[Shown]:
        events: list[Shown] = []
        if known.message is None:
            known.message = self._conversation.items.answers[turn.turn]
            events += self._announce(known, known.message)
            events.append(
                {"type": "response.content_part.added", **self._part(known), "part": _part(turn, "")}
            )
        known.text.append(text)
        kind = "output_audio_transcript" if turn.settings.speak else "output_text"
        return [*events, {"type": f"response.{kind}.delta", **self._part(known), "delta": text}]

    def _call(self, known: _Response, recorded: Recorded) -> list[Shown]:
        data, name = recorded.data, self._conversation.items.item_id(recorded.seq)
        announced = self._announce(known, name)
        about = {
            "response_id": known.id,
            "item_id": name,
            "output_index": known.output[name],
            "call_id": data["call"],
        }
        kind = "response.function_call_arguments"
        return [
            *announced,
            {"type": f"{kind}.delta", **about, "delta": data["arguments"]},
            {"type": f"{kind}.done", **about, "name": data["name"], "arguments": data["arguments"]},
            *self._finish(known, name),
        ]

    def _end(self, turn: TurnState) -> list[Shown]:
        known = self._open.pop(turn.turn, None) or _Response(self._conversation.items.response_id(turn.turn))
        events = self._begin(known, turn)
        if known.message is not None:
            text, part = "".join(known.text), self._part(known)
            if turn.settings.speak:
                events.append({"type": "response.output_audio.done", **part})
                events.append({"type": "response.output_audio_transcript.done", **part, "transcript": text})
            else:
                events.append({"type": "response.output_text.done", **part, "text": text})
            events.append({"type": "response.content_part.done", **part, "part": _part(turn, text)})
            events += self._finish(known, known.message)
        return [*events, {"type": "response.done", "response": self._shown(known, turn)}]


def _part(turn: TurnState, text: str) -> Shown:
    return {"type": "audio", "transcript": text} if turn.settings.speak else {"type": "text", "text": text}
