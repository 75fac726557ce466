"""What a session's facts add up to, and which commands it allows. Plain synchronous code, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.errors import NothingToControl, SessionEnded, TurnNotFound, TurnQueueFull
from schemas.events import (
    TERMINAL,
    EndReason,
    Fact,
    Kind,
    PlaybackPaused,
    PlaybackResumed,
    SentenceSkipRequested,
    TurnRequested,
    TurnStopRequested,
)
from schemas.ids import NO_TURN, Seq, SessionId, TurnId
from schemas.recorded import Recorded
from schemas.settings import SessionSettings

TurnStatus = Literal["requested", "running", "completed", "stopped", "failed"]
SentenceStatus = Literal["ready", "voiced", "completed", "failed", "skipped"]
ControlAction = Literal["stop", "pause", "resume", "skip"]


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
    words: list[dict[str, int]] = field(default_factory=list)
    chunks: int = 0
    whole: bool = False
    """Its last chunk is in the log."""
    first_chunk: Seq | None = None


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
    resumed: int = 0
    """How often another owner went on with it."""
    error: dict[str, Any] | None = None
    ended_at: Seq | None = None
    """Where its terminal fact is."""
    stopping: Literal["user", "barge_in"] | None = None
    skips: set[int] = field(default_factory=set)

    @property
    def answer(self) -> str:
        """The shown text so far."""
        return "".join(self.parts)

    @property
    def over(self) -> bool:
        return self.status in ("completed", "stopped", "failed")


@dataclass(slots=True)
class NarrationState:
    """A scene read out in a session of its own."""

    session: SessionId
    by: Literal["auto", "user"]
    status: Literal["requested", "ready", "failed"] = "requested"
    chunks: int = 0
    audio_ms: int = 0
    error: dict[str, Any] | None = None


class Conversation:
    """A session folded from its facts; `apply` them in order, each once."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.kind: Kind = "session"
        self.principal = ""
        self.parent: SessionId | None = None
        self.parent_seq = Seq(0)
        self.title = ""
        self.created_ms = 0
        self.latest_ms = 0
        self.settings = SessionSettings()
        self.turns: dict[TurnId, TurnState] = {}
        self.paused = False
        self.ending = False
        self.end_reason: EndReason = "user"
        self.ended = False
        self.narrations: dict[TurnId, NarrationState] = {}
        self.shares: dict[str, int | None] = {}
        """Links that are good, and until when (ms since the epoch; None: for good)."""

    @property
    def has_work(self) -> bool:
        """An owner is needed: a turn is not over, or the session waits to be closed."""
        return not self.ended and (self.ending or bool(self.unfinished))

    @property
    def waiting(self) -> list[TurnState]:
        """Requested turns that nobody has started."""
        return [turn for turn in self.turns.values() if turn.status == "requested"]

    @property
    def running(self) -> TurnState | None:
        return next((turn for turn in self.turns.values() if turn.status == "running"), None)

    @property
    def unfinished(self) -> list[TurnState]:
        return [turn for turn in self.turns.values() if not turn.over]

    def apply(self, recorded: Recorded) -> None:
        """Take in the next fact. Facts of unknown types only move the head."""
        data = recorded.data
        match recorded.type:
            case "session.started":
                self._start(recorded)
            case "settings.changed":
                self.settings = _settings(data)
            case "session.end_requested" | "session.ended":
                self.ending, self.end_reason = True, data["reason"]
                self.ended = recorded.type == "session.ended"
            case "playback.paused" | "playback.resumed":
                self.paused = recorded.type == "playback.paused"
            case "turn.requested":
                turn = TurnId(recorded.seq)
                self.paused = False  # who asks wants to hear the answer
                settings = _settings(data)
                self.turns[turn] = TurnState(turn, data["kind"], data["text"], settings, recorded.ts_ms)
            case "narration.requested" | "narration.ready" | "narration.failed":
                self._narrate(recorded)
            case "share.created" | "share.revoked":
                self._share(recorded)
            case _ if state := self.turns.get(recorded.turn):
                _apply_to_turn(state, recorded)
        self.head = recorded.seq
        self.latest_ms = recorded.ts_ms

    def _start(self, recorded: Recorded) -> None:
        data = recorded.data
        self.kind = data.get("kind", "session")
        self.principal = data.get("principal", "")
        self.parent = data.get("parent")
        self.parent_seq = Seq(data.get("parent_seq") or 0)
        self.title = data.get("title", "")
        self.settings = _settings(data)
        self.created_ms = recorded.ts_ms

    def _share(self, recorded: Recorded) -> None:
        if recorded.type == "share.created":
            self.shares[recorded.data["share"]] = recorded.data.get("expires_ms")
        else:
            self.shares.pop(recorded.data["share"], None)

    def _narrate(self, recorded: Recorded) -> None:
        """The latest request for a scene counts; news of an earlier one changes nothing."""
        data = recorded.data
        session = SessionId(data["session"])
        if recorded.type == "narration.requested":
            self.narrations[recorded.turn] = NarrationState(session, by=data["by"])
        state = self.narrations.get(recorded.turn)
        if state is None or state.session != session:
            return
        if recorded.type == "narration.ready":
            state.status, state.chunks, state.audio_ms = "ready", data["chunks"], data["audio_ms"]
        elif recorded.type == "narration.failed":
            state.status, state.error = "failed", dict(data)

    def request(self, request: TurnRequested, *, queue_limit: int) -> TurnRequested:
        """The fact that asks for a turn, if the session can take one more."""
        self._refuse_if_over()
        if len(self.unfinished) > queue_limit:
            raise TurnQueueFull(f"{queue_limit} turns are waiting already; stop one or wait", field="prompt")
        return request

    def control(
        self, action: ControlAction, *, turn: TurnId | None, sentence: int | None
    ) -> tuple[TurnId, Fact]:
        """The fact that carries out the command, and the turn it is about."""
        self._refuse_if_over()
        if action == "pause":
            return NO_TURN, PlaybackPaused()
        if action == "resume":
            return NO_TURN, PlaybackResumed()
        target = self._target(turn)
        if action == "stop":
            return target.turn, TurnStopRequested()
        return target.turn, SentenceSkipRequested(sentence=_sentence_to_skip(target, sentence))

    def _refuse_if_over(self) -> None:
        if self.ended or self.ending:
            raise SessionEnded("this session has ended; create a new one")

    def _target(self, turn: TurnId | None) -> TurnState:
        if turn is not None and turn not in self.turns:
            raise TurnNotFound(f"this session has no turn {turn}", field="turn")
        target = self.turns[turn] if turn is not None else self.running or next(iter(self.waiting), None)
        if target is None or target.over:
            raise NothingToControl("no turn is running", field="turn")
        return target


def _sentence_to_skip(turn: TurnState, sentence: int | None) -> int:
    """The one named, or else the first that still has audio to come."""
    if sentence is not None:
        return sentence
    open_ones = (
        s.number
        for s in turn.sentences
        if s.spoken and s.status in ("ready", "voiced") and s.number not in turn.skips
    )
    return next(open_ones, len(turn.sentences))


def _settings(data: Mapping[str, Any]) -> SessionSettings:
    """As recorded, by this version or by a later one, whose new fields are passed over."""
    return SessionSettings.model_validate(data["settings"], extra="ignore")


_STATUS_OF_TERMINAL: dict[str, TurnStatus] = {
    "turn.completed": "completed",
    "turn.stopped": "stopped",
    "turn.failed": "failed",
}


def _apply_to_turn(turn: TurnState, recorded: Recorded) -> None:
    data = recorded.data
    match recorded.type:
        case "turn.started" | "turn.resumed":
            turn.status = "running"
            turn.resumed += recorded.type == "turn.resumed"
        case "turn.stop_requested":
            turn.stopping = data["reason"]
        case "sentence.skip_requested":
            turn.skips.add(data["sentence"])
        case "text.delta":
            turn.parts.append(data["text"])
        case "text.completed":
            turn.text_whole = True
        case "sentence.ready":
            turn.sentences.append(SentenceState(data["sentence"], data["start"], data["end"], data["spoken"]))
        case kind if kind in TERMINAL:
            turn.status = _STATUS_OF_TERMINAL[kind]
            turn.ended_at = recorded.seq
            if kind == "turn.failed":
                turn.error = dict(data)
        case _ if data.get("sentence") is not None and data["sentence"] < len(turn.sentences):
            _apply_to_sentence(turn, turn.sentences[data["sentence"]], recorded)


def _apply_to_sentence(turn: TurnState, sentence: SentenceState, recorded: Recorded) -> None:
    data = recorded.data
    match recorded.type:
        case "sentence.voiced":
            sentence.status, sentence.at_ms = "voiced", data["at_ms"]
            sentence.words = list(data["words"])
        case "audio.chunk":
            sentence.ms += data["ms"]
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
        case "sentence.skipped":
            sentence.status = "skipped"
