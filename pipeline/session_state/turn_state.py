"""Fold of the events of one turn: its text, sentences, audio and end. Plain synchronous code."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Self

import orjson
from pydantic import TypeAdapter

from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.settings.retrieval_settings import NumberedPassage, Support
from schemas.speech_style import KeptReading, Mark, TextPart, VoiceMark

TurnStatus = Literal["requested", "running", "completed", "stopped", "failed"]
SentenceStatus = Literal["ready", "voiced", "completed", "failed", "skipped"]
ANSWER_EVENTS = frozenset(
    {
        "passages.found",
        "passages.failed",
        "answer.cited",
        "tool.called",
        "tool.started",
        "tool.completed",
        "tool.failed",
    }
)
_WISHES = frozenset(
    {
        "turn.stop_requested",
        "sentence.skip_requested",
        "playback.heard",
        "playback.ended",
        "playback.flushed",
    }
)
STARTED: Final = "The function was started and runs in the background. You will be told its result later."
"""The model is told this, in the answer that began it, of a function that runs beside the conversation."""
_BROKEN_OFF = " —"
"""Stands in what the language model is told for what an interrupted answer would have said."""
_STATUS_OF_TERMINAL: dict[str, TurnStatus] = {
    "turn.completed": "completed",
    "turn.stopped": "stopped",
    "turn.failed": "failed",
}


def kept_json(value: Any) -> bytes:
    """JSON of its own size: what orjson makes holds four kilobytes at least, or up to eight times as much.

    As objects, short values take thirty times as much.
    """
    return memoryview(orjson.dumps(value)).tobytes()


class SpokenWord(NamedTuple):
    """`start` and `end` in the answer's text, `start_ms` and `end_ms` in the turn's audio."""

    start: int
    end: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """32 bytes for each word, where a dictionary of its four numbers takes 310 (tracemalloc)."""

    _numbers: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, words: Iterable[Mapping[str, int]]) -> Self:
        """From an event."""
        return cls(array("q", [word[name] for word in words for name in SpokenWord._fields]))

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def heard(self, ms: int) -> int:
        """Place in the text behind the words that end within so much of the sound; 0: none does."""
        ends, until_ms = self._numbers[1::4], self._numbers[3::4]
        return max((end for end, until in zip(ends, until_ms, strict=True) if until <= ms), default=0)

    def __iter__(self) -> Iterator[SpokenWord]:
        numbers = iter(self._numbers)
        return map(SpokenWord._make, zip(numbers, numbers, numbers, numbers, strict=True))


@dataclass(slots=True)
class SentenceState:
    """One sentence of an answer: its place in the text and in the audio."""

    number: int
    start: int
    end: int
    spoken: str
    status: SentenceStatus = "ready"
    at_ms: int = 0
    ms: int = 0
    words: SpokenWords = field(default_factory=SpokenWords)
    chunks: int = 0
    whole: bool = False
    """Its last chunk is in the log."""
    error: tuple[str, str] | None = None
    """Code and message."""
    first_chunk: Seq | None = None

    @property
    def audible(self) -> bool:
        """There is sound of it, and its voice has not broken off."""
        return self.chunks > 0 and self.status != "failed"


@dataclass(slots=True)
class CallState:
    """A function that the model wants called, and what came of it."""

    call: str
    name: str
    arguments: str
    place: Literal["server", "client"]
    round: int
    at: int
    output: str | None = None
    error: tuple[str, str] | None = None
    """Code and message."""
    started: bool = False
    """It runs beside the conversation, and its answer does not wait for it."""

    @property
    def over(self) -> bool:
        """The answer can go on."""
        return self.started or self.returned

    @property
    def returned(self) -> bool:
        return self.output is not None or self.error is not None

    @property
    def result(self) -> str:
        """Text that the model gets as the call's result."""
        if self.started:
            return STARTED
        if self.error is not None:
            return f"error: {self.error[1]}"
        return self.output or ""


_NOWHERE: Final = TurnId(0)
_MARKS: Final = TypeAdapter(tuple[Mark, ...])


@dataclass(slots=True)
class TurnState:
    """One request and its answer so far."""

    turn: TurnId
    kind: Literal["prompt", "text"]
    text: str
    settings: SessionSettings
    requested_ms: int
    status: TurnStatus = "requested"
    parts: list[str] = field(default_factory=list)
    text_whole: bool = False
    sentences: list[SentenceState] = field(default_factory=list)
    audio_ms: int = 0
    first_audio_ms: int | None = None
    """When its first audio was recorded, in milliseconds since the epoch."""
    stalled: int = 0
    """How often another owner went on with it since anything came of it."""
    error: dict[str, Any] | None = None
    ended_at: Seq | None = None
    """Where its terminal event is."""
    ended_ms: int = 0
    stopping: Literal["user", "barge_in", "merged"] | None = None
    skips: set[int] = field(default_factory=set)
    input: str | None = None
    """It was spoken, into this input."""
    merges: int | None = None
    """The turn that it replaces."""
    result_of: int | None = None
    """The turn whose asynchronous function returned what it tells."""
    place: TurnId = _NOWHERE
    """The first of the turns that are versions of one another; of any other turn itself."""
    continues: TurnId | None = None
    """The turn whose answer this one goes on with."""
    first: TurnId = _NOWHERE
    """The first of the turns whose answers are one, which this one goes on with; 0: it begins an answer."""
    heard_ms: int | None = None
    """Milliseconds of its audio that listeners reported as heard, the largest; None: none reported."""
    heard_at_ms: int = 0
    """When they said so."""
    playbacks: int = 0
    """Listeners who have said that they are through with it."""
    flushed: bool = False
    """It was interrupted: what was not heard by then will not be."""
    dismissed: bool = False
    """By somebody who had heard enough of what is complete: its text was shown and stays known."""
    marks_json: bytes = b""
    """See `marks`."""
    keeps: KeptReading | None = None
    """Reading of the same text whose sound it has where it speaks nothing again."""
    given_json: bytes = b""
    """See `given`; as objects, short messages take fifteen times as much memory."""
    by: str = ""
    """The member who asked, of several people in a session."""
    traceparent: str = ""
    """The caller's span, whose trace the turn continues."""
    narrate: bool | None = None
    """Whether the scene is read out once it is complete; None: the user's settings say so then."""
    looked_up: bool = False
    passages_json: bytes = b"[]"
    """See `passages`; as objects, short ones take thirty times as much memory."""
    supports_json: bytes = b"[]"
    """See `supports`."""
    calls: dict[str, CallState] = field(default_factory=dict)
    """By the names that the model gave them, in their order."""
    finish: str = ""
    """How the text ended; empty: it has not."""
    tokens: tuple[int, int] = (0, 0)
    """In and out."""

    @property
    def question(self) -> str:
        """Text of the question; empty where a text was given, the turn tells a function's result, or it goes
        on with an answer."""
        asked = self.kind == "prompt" and self.result_of is None and not self.first
        return self.text if asked else ""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Of a text that came in SSML, and of parts that other voices speak."""
        return _MARKS.validate_json(self.marks_json or b"[]")

    @property
    def given(self) -> tuple[GivenMessage, ...] | None:
        """All that the model is told, from a client that keeps the conversation itself."""
        if not self.given_json:
            return None
        return tuple(
            GivenMessage.model_validate(one, extra="ignore") for one in orjson.loads(self.given_json)
        )

    @property
    def passages(self) -> list[NumberedPassage]:
        """Passages that the model was given."""
        found = orjson.loads(self.passages_json)
        return [NumberedPassage.model_validate(one, extra="ignore") for one in found]

    @property
    def supports(self) -> list[Support]:
        """Places of the answer that rest on one of them."""
        return [Support.model_validate(one, extra="ignore") for one in orjson.loads(self.supports_json)]

    @property
    def answer(self) -> str:
        """The shown text so far."""
        return "".join(self.parts)

    @property
    def heard_answer(self) -> str:
        """The answer as its listeners know it: of an interrupted one, the words that were heard."""
        if not self.flushed or self.dismissed or self.heard_ms is None:
            return self.answer
        return self.heard_until(self.heard_ms)

    def heard_until(self, ms: int) -> str:
        """The words of it that are heard in so much of its audio."""
        end = 0
        for sentence in self.sentences:
            if not sentence.chunks:
                continue  # an import may have any number of their words
            if sentence.at_ms + sentence.ms > ms:
                end = max(end, sentence.words.heard(ms))
                break
            end = sentence.end
        heard = self.answer[:end].rstrip()
        return f"{heard}{_BROKEN_OFF}" if heard and end < len(self.answer) else heard

    def heard_near(self, ms: int) -> str:
        """Its shown text that sounds so near to what listeners reported last; all, where none did."""
        least, most = (
            (0, self.audio_ms) if self.heard_ms is None else (self.heard_ms - ms, self.heard_ms + ms)
        )
        near = [
            each
            for each in self.sentences
            if each.chunks and least <= each.at_ms + each.ms and each.at_ms <= most
        ]
        return self.answer[near[0].start : near[-1].end] if near else ""

    def being_heard(self, now_ms: int) -> bool:
        """True if the turn is probably audible now or soon, by the listeners' reports, else by the clock."""
        if self.flushed or self.first_audio_ms is None:
            return False
        return not self.over or self.place_ms(now_ms) < self.audio_ms

    def place_ms(self, now_ms: int) -> int:
        """Returns how much of its audio was probably played, by the listeners' reports, else by the clock."""
        if self.heard_ms is None:
            return now_ms - (self.first_audio_ms or now_ms)
        return self.heard_ms + now_ms - self.heard_at_ms

    @property
    def only_heard(self) -> bool:
        """It is complete, and goes on only with those who still listen: it is made faster than heard."""
        return self.over and self.audio_ms > 0 and not self.flushed and self.stopping is None

    @property
    def unheard(self) -> bool:
        """True while the turn is in progress and none of its audio exists."""
        return not self.over and self.stopping is None and self.first_audio_ms is None

    @property
    def over(self) -> bool:
        return self.status in ("completed", "stopped", "failed")


@dataclass(slots=True)
class NarrationState:
    """A scene read out in a session of its own."""

    session: SessionId
    by: Literal["auto", "user"]
    attempt: int = 1
    earlier: list[SessionId] = field(default_factory=list)
    """Sessions of the attempts before this one."""
    heard: SessionId | None = None
    """The latest of them that was ready."""
    status: Literal["requested", "ready", "failed"] = "requested"
    voices_json: bytes = b"[]"
    """See `voices`."""
    again: tuple[TextPart, ...] = ()
    """Parts that are spoken again; the rest has the sound of the reading before."""
    chunks: int = 0
    audio_ms: int = 0
    error: dict[str, Any] | None = None

    @property
    def latest_ready(self) -> SessionId | None:
        """Session of the latest attempt that is ready, this one included."""
        return self.session if self.status == "ready" else self.heard

    @property
    def voices(self) -> tuple[VoiceMark, ...]:
        """Parts of the scene that other voices speak."""
        return tuple(VoiceMark.model_validate(one) for one in orjson.loads(self.voices_json))


def apply_to_turn(turn: TurnState, recorded: Recorded) -> None:
    """Take in the next event about this turn."""
    data = recorded.data
    match recorded.type:
        case "turn.started" | "turn.resumed":
            turn.status = "running"
            turn.stalled += recorded.type == "turn.resumed"
        case kind if kind in _WISHES:
            _apply_wish(turn, recorded)
        case "text.delta":
            turn.parts.append(data["text"])
            turn.stalled = 0
        case "text.completed":
            _apply_text_end(turn, data)
        case kind if kind in ANSWER_EVENTS:
            _apply_to_grounds(turn, recorded)
        case "sentence.ready":
            turn.sentences.append(SentenceState(data["sentence"], data["start"], data["end"], data["spoken"]))
        case kind if kind in TERMINAL:
            turn.status = _STATUS_OF_TERMINAL[kind]
            turn.ended_at, turn.ended_ms = recorded.seq, recorded.ts_ms
            turn.parts = [turn.answer]  # a long past is many words: nothing is added to them any more
            if kind == "turn.failed":
                turn.error = dict(data)
        case _ if data.get("sentence") is not None and data["sentence"] < len(turn.sentences):
            _apply_to_sentence(turn, turn.sentences[data["sentence"]], recorded)


def _apply_text_end(turn: TurnState, data: Mapping[str, Any]) -> None:
    turn.text_whole = True
    turn.finish = data["finish"]
    turn.tokens = (data.get("tokens_in", 0), data.get("tokens_out", 0))
    if turn.finish == "length":
        turn.parts = [turn.answer[: data["chars"]]]  # text after its last whole sentence is dropped


def _apply_to_grounds(turn: TurnState, recorded: Recorded) -> None:
    """Applies the events of passages, citations and tool calls."""
    data = recorded.data
    turn.stalled = 0
    match recorded.type:
        case "passages.found":
            turn.looked_up = True
            turn.passages_json = kept_json(data["passages"])
        case "passages.failed":
            turn.looked_up = True
        case "answer.cited":
            turn.supports_json = kept_json(data["supports"])
        case "tool.called":
            turn.calls[data["call"]] = CallState(
                data["call"], data["name"], data["arguments"], data["place"], data["round"], data["at"]
            )
        case "tool.started" if data["call"] in turn.calls:
            turn.calls[data["call"]].started = True
        case "tool.completed" if data["call"] in turn.calls:
            turn.calls[data["call"]].output = data["output"]
        case "tool.failed" if data["call"] in turn.calls:
            turn.calls[data["call"]].error = (data["code"], data["message"])


def _apply_wish(turn: TurnState, recorded: Recorded) -> None:
    """Applies the listeners' events: stop, flush, and how much was heard."""
    data = recorded.data
    match recorded.type:
        case "turn.stop_requested" if turn.over and data["reason"] == "user":
            # It was sent before the end was known; the end was first. The sound is left to stop.
            turn.flushed = turn.dismissed = True
        case "turn.stop_requested":
            turn.stopping = data["reason"]
        case "sentence.skip_requested":
            turn.skips.add(data["sentence"])
        case "playback.flushed":
            turn.flushed = True
            turn.dismissed = data["reason"] == "stopped"
        case "playback.ended":
            turn.playbacks += 1
        case "playback.heard":
            turn.heard_ms = max(turn.heard_ms or 0, data["heard_ms"])
            turn.heard_at_ms = recorded.ts_ms


def _apply_to_sentence(turn: TurnState, sentence: SentenceState, recorded: Recorded) -> None:
    data = recorded.data
    match recorded.type:
        case "sentence.voiced":
            sentence.status, sentence.at_ms = "voiced", data["at_ms"]
            sentence.words = SpokenWords.of(data["words"])
        case "audio.chunk":
            sentence.ms += data["ms"]
            turn.stalled = 0
            sentence.chunks = data["chunk"] + 1
            sentence.whole = data["last"]
            turn.audio_ms = data["at_ms"] + data["ms"]
            turn.first_audio_ms = turn.first_audio_ms or recorded.ts_ms
            if sentence.first_chunk is None:
                sentence.first_chunk = recorded.seq
        case "sentence.completed":
            sentence.status = "completed"
        case "sentence.failed":
            sentence.status = "failed"
            sentence.error = (data["code"], data["message"])
        case "sentence.skipped":
            sentence.status = "skipped"
