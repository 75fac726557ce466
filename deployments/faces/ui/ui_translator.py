"""A turn's events as parts of the AI SDK's UI message stream. The same events always give the same parts.

The parts are those of npm `ai`, version 7 (`uiMessageChunkSchema`).
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipeline.audio.audio_formats import AudioFormat
from pipeline.audio.opus import RATE
from pipeline.rag.citations import passage_path, places_of
from pipeline.session_state.turn_state import STARTED
from schemas.bounds import too_deep
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import SessionId, TurnId
from schemas.settings.model_settings import OUTPUT_CHARS
from schemas.settings.retrieval_settings import NumberedPassage, Support

Part = dict[str, Any]
_FINISHES: Final[Mapping[str, str]] = {"length": "length", "tool_calls": "tool-calls"}
_JSON_CHARS: Final = 4 * OUTPUT_CHARS
"""As objects, JSON may take thirty times as much memory."""
_OURS: Final[Part] = {"providerExecuted": True, "dynamic": True}
"""Of calls that this server makes: pages do not know their shapes."""


def speech_part(session: SessionId, turn: TurnId) -> Part:
    """Places at which a message's sound and word times stay, when its stream is over."""
    place = f"/v1/sessions/{session}"
    data = {
        "session": session,
        "turn": turn,
        "audio": f"{place}/audio?turn={turn}",
        "captions": f"{place}/captions.vtt?turn={turn}&words=true",
    }
    return {"type": "data-speech", "id": f"speech-{turn}", "data": data}


def source_parts(passages: list[NumberedPassage], supports: list[Support]) -> list[Part]:
    """The cited passages, in the order of their numbers, and the documents that they are of."""
    cited = places_of(supports)
    known = {one.number: one for one in passages}
    used = [known[number] for number in sorted(cited) if number in known]
    parts: list[Part] = []
    for passage in used:
        places = [{"start": one.start, "end": one.end} for one in cited[passage.number]]
        about = {"number": passage.number, "page": passage.page, "places": places}
        parts.append(
            {
                "type": "source-url",
                "sourceId": str(passage.number),
                "url": passage_path(passage),
                "title": passage.title,
                "providerMetadata": {"rhapsode": about},
            }
        )
    documents = {passage.document: passage for passage in used}
    parts += [
        {
            "type": "source-document",
            "sourceId": document,
            "mediaType": passage.media_type,
            "title": passage.title,
            "providerMetadata": {"rhapsode": {"collection": passage.collection}},
        }
        for document, passage in documents.items()
    ]
    return parts


def json_or_text(text: str) -> Any:
    """The value; the text itself where it is no JSON, or JSON that cannot be sent on as it is: whole numbers
    beyond 64 bits, halves of characters, what is nested too deep, and what only a bundle can have so long."""
    if len(text) > _JSON_CHARS:
        return text
    try:
        value = json.loads(text)
        orjson.dumps(value)
    except (ValueError, RecursionError, TypeError):
        return text
    return text if too_deep(value) else value


@dataclass(slots=True)
class UiTranslator:
    """Takes the events of a message's turns in order: several where the page made calls in between."""

    session: SessionId
    turns: tuple[TurnId, ...]
    message: str
    """The id that the page knows the message by."""
    audio: AudioFormat | None = None
    over: bool = False
    _step: bool = False
    """A step is open."""
    _text: str = ""
    """Id of the text part that is open."""
    _called: bool = False
    """The open step has calls: what is written next is another one."""
    _rounds: tuple[TurnId, int] = (TurnId(0), -1)
    _finish: str = "stop"
    _tokens: tuple[int, int] = (0, 0)
    _passages: list[NumberedPassage] = field(default_factory=list)
    _heard_of: bool = False
    _its: frozenset[TurnId] = frozenset()
    """The same turns: an imported message may have any number of them."""

    def __post_init__(self) -> None:
        self._its = frozenset(self.turns)

    def of(self, recorded: Recorded, sound: bytes = b"") -> list[Part]:
        """The parts that follow from this event. `sound`: of an audio chunk, in the wished format."""
        if TurnId(recorded.seq) == self.turns[0]:
            return [self._start()]
        if recorded.turn not in self._its:
            return []
        if recorded.type in TERMINAL:
            return self._end(recorded) if recorded.turn == self.turns[-1] else self._close_step()
        if recorded.type.startswith(("sentence.", "audio.")):
            return self._sound(recorded, sound) if self.audio is not None else []
        return self._go_on(recorded)

    def _start(self) -> Part:
        about = {"session": self.session, "turn": self.turns[-1]}
        return {"type": "start", "messageId": self.message, "messageMetadata": about}

    def _go_on(self, recorded: Recorded) -> list[Part]:
        data = recorded.data
        match recorded.type:
            case "text.delta":
                return [*self._open_text(recorded), self._delta(data["text"])]
            case "tool.called":
                return self._call(recorded)
            case "tool.started":
                return [self._result(data["call"], "tool-output-available", {"output": STARTED})]
            case "tool.completed":
                output = {"output": json_or_text(data["output"])}
                return [self._result(data["call"], "tool-output-available", output)]
            case "tool.failed":
                error = {"errorText": f"{data['code']}: {data['message']}"}
                return [self._result(data["call"], "tool-output-error", error)]
            case "passages.found":
                self._passages = [
                    NumberedPassage.model_validate(one, extra="ignore") for one in data["passages"]
                ]
            case "answer.cited":
                supports = [Support.model_validate(one, extra="ignore") for one in data["supports"]]
                return source_parts(self._passages, supports)
            case "text.completed":
                self._finish = _FINISHES.get(data["finish"], "stop")
                before = self._tokens
                self._tokens = (before[0] + data.get("tokens_in", 0), before[1] + data.get("tokens_out", 0))
                return self._close_text()
        return []

    # ------------------------------------------------------------ steps, text, calls

    def _open_step(self) -> list[Part]:
        if self._step:
            return []
        self._step = True
        return [{"type": "start-step"}]

    def _close_step(self) -> list[Part]:
        parts = self._close_text()
        if self._step:
            parts.append({"type": "finish-step"})
        self._step = self._called = False
        return parts

    def _open_text(self, recorded: Recorded) -> list[Part]:
        if self._text:
            return []
        before = self._close_step() if self._called else []
        self._text = f"text-{recorded.seq}"
        return [*before, *self._open_step(), {"type": "text-start", "id": self._text}]

    def _delta(self, text: str) -> Part:
        return {"type": "text-delta", "id": self._text, "delta": text}

    def _close_text(self) -> list[Part]:
        name, self._text = self._text, ""
        return [{"type": "text-end", "id": name}] if name else []

    def _call(self, recorded: Recorded) -> list[Part]:
        data = recorded.data
        parts, place = self._close_text(), (recorded.turn, data.get("round", 0))
        if self._called and place != self._rounds:
            parts += self._close_step()
        self._rounds, self._called = place, True
        ours = data["place"] == "server"
        about = {"toolCallId": data["call"], "toolName": data["name"], **(_OURS if ours else {})}
        given = json_or_text(data["arguments"] or "{}")
        if ours and not isinstance(given, dict):
            given = {"arguments": data["arguments"]}
        return [
            *parts,
            *self._open_step(),
            {"type": "tool-input-start", **about},
            {"type": "tool-input-delta", "toolCallId": data["call"], "inputTextDelta": data["arguments"]},
            {"type": "tool-input-available", **about, "input": given},
        ]

    def _result(self, call: str, kind: str, what: Part) -> Part:
        return {"type": kind, "toolCallId": call, **what, **_OURS}

    # ------------------------------------------------------------ sound

    def _sound(self, recorded: Recorded, sound: bytes) -> list[Part]:
        data = recorded.data
        match recorded.type:
            case "sentence.voiced":
                first, self._heard_of = not self._heard_of, True
                said = {name: data[name] for name in ("sentence", "voice", "at_ms")}
                words = [
                    {name: word[name] for name in ("start", "end", "start_ms", "end_ms")}
                    for word in data.get("words", ())
                ]
                told = {"turn": recorded.turn, **said, "words": words}
                kept = [speech_part(self.session, recorded.turn)] if first else []
                return [*kept, {"type": "data-words", "data": told, "transient": True}]
            case "audio.chunk":
                named = {name: data[name] for name in ("sentence", "chunk", "at_ms", "ms")}
                heard = {
                    **{"turn": recorded.turn, **named, "last": data.get("last", False)},
                    **{"format": self.audio, "rate": RATE},
                    "data": base64.b64encode(sound).decode(),
                }
                return [{"type": "data-audio", "data": heard, "transient": True}]
            case "sentence.failed":
                named = {name: data[name] for name in ("sentence", "code", "message")}
                told = {"turn": recorded.turn, **named}
                return [{"type": "data-sentence-failed", "data": told, "transient": True}]
        return []

    # ------------------------------------------------------------ the end

    def _end(self, recorded: Recorded) -> list[Part]:
        self.over = True
        parts, data = self._close_step(), recorded.data
        tokens = {"inputTokens": self._tokens[0], "outputTokens": self._tokens[1]}
        about = {"session": self.session, "turn": self.turns[-1], "usage": tokens}
        match recorded.type:
            case "turn.failed":
                self._finish = "error"
                parts.append({"type": "error", "errorText": f"{data['code']}: {data['message']}"})
            case "turn.stopped":
                return [*parts, {"type": "abort", "reason": data["reason"]}]
        return [*parts, {"type": "finish", "finishReason": self._finish, "messageMetadata": about}]
