"""Aggregate of a session's events, and the commands that it allows. Plain synchronous code, no I/O."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pipeline.session_state.conversation_items import Items
from pipeline.session_state.input_state import (
    EVENTS as INPUT_EVENTS,
)
from pipeline.session_state.input_state import (
    InputState,
    PhoneState,
    apply_to_inputs,
    apply_to_phone,
)
from pipeline.session_state.turn_state import NarrationState, TurnState, apply_to_turn, kept_json
from schemas.errors import (
    InputError,
    NothingToControl,
    SessionAlreadyEnded,
    StateError,
    TurnNotFound,
    TurnNotReplaceable,
    TurnQueueFull,
)
from schemas.errors.access_errors import Forbidden
from schemas.events import (
    EndReason,
    Event,
    Kind,
    PlaybackPaused,
    PlaybackResumed,
    SentenceSkipRequested,
    TurnRequested,
    TurnStopRequested,
)
from schemas.events.recorded import Recorded
from schemas.events.voice_events import PlaybackFlushed
from schemas.ids import NO_TURN, NOWHERE, Seq, SessionId, TurnId
from schemas.settings import SessionSettings
from schemas.speech_style import KeptReading, TextPart

_USUAL: Final = {
    "tools": SessionSettings().tools,
    "sampling": SessionSettings().sampling,
    "pronunciations": (),
}
_AHEAD: Final = 1_000
"""Sentences that are not there yet and may be skipped: all that may be are looked at with each event."""
ControlAction = Literal["stop", "pause", "resume", "skip"]


class Conversation:
    """A session folded from its events; `apply` them in order, each once."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.data_bytes = 0
        """Of its events; as objects they take seven times as much at worst."""
        self.kind: Kind = "session"
        self.principal = ""
        self.parent: SessionId | None = None
        self.parent_seq = Seq(0)
        self.title = ""
        self.created_ms = 0
        self.latest_ms = 0
        self.settings = SessionSettings()
        self.turns: dict[TurnId, TurnState] = {}
        self._open: dict[TurnId, TurnState] = {}
        """Those that are not over: an owner asks for them with every batch, however long the past."""
        self._settings_data: Mapping[str, Any] = {}
        """As settings were recorded last; turn after turn they mostly are the same, and parsed once."""
        self._settings_parsed = SessionSettings()
        self.paused_by: Literal["user", "voice"] | None = None
        """Holder of the playback; None: it is not held."""
        self.ending = False
        self.end_reason: EndReason = "user"
        self.ended = False
        self.narrations: dict[TurnId, NarrationState] = {}
        self.inputs: dict[str, InputState] = {}
        self.members: set[str] = set()
        """Principals that may listen and ask beside the owner."""
        self.shares: dict[str, dict[str, Any]] = {}
        """Links that were not revoked: name to what `share.created` says."""
        self.items = Items()
        self.phone: PhoneState | None = None
        """Its call by telephone."""

    @property
    def paused(self) -> bool:
        return self.paused_by is not None

    @property
    def has_work(self) -> bool:
        """An owner is needed: a turn is not over, or the session waits to be closed."""
        return not self.ended and (self.ending or bool(self.unfinished))

    @property
    def waiting(self) -> list[TurnState]:
        """Requested turns that nobody has started."""
        return [turn for turn in self._open.values() if turn.status == "requested"]

    @property
    def running(self) -> TurnState | None:
        return next((turn for turn in self._open.values() if turn.status == "running"), None)

    @property
    def unfinished(self) -> list[TurnState]:
        return list(self._open.values())

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event. Events of unknown types only move the head."""
        data = recorded.data
        self.items.apply(recorded)
        self.phone = apply_to_phone(self.phone, recorded)
        match recorded.type:
            case "session.started":
                self._start(recorded)
            case "settings.changed" | "session.renamed":
                self.title = data.get("title", self.title)
                self.settings = self._taken(data) if "settings" in data else self.settings
            case "session.end_requested" | "session.ended":
                self.ending, self.end_reason = True, data["reason"]
                self.ended = recorded.type == "session.ended"
            case "playback.paused" | "playback.resumed":
                self._hold(recorded.type, data.get("by", "user"))
            case "turn.requested":
                self._ask(recorded)
            case "narration.requested" | "narration.ready" | "narration.failed":
                self._narrate(recorded)
            case "share.created" | "share.revoked" | "member.added" | "member.removed":
                self._share(recorded)
            case kind if kind in INPUT_EVENTS:
                apply_to_inputs(self.inputs, recorded)
            case _ if known := self.turns.get(recorded.turn):
                self._go_on(known, recorded)
        self.head = recorded.seq
        self.latest_ms = recorded.ts_ms
        self.data_bytes += recorded.size

    def _go_on(self, turn: TurnState, recorded: Recorded) -> None:
        apply_to_turn(turn, recorded)
        if turn.over and self._open.pop(turn.turn, None) is not None:
            turn.settings = _without_schemas(turn.settings)

    def _taken(self, data: Mapping[str, Any]) -> SessionSettings:
        """As recorded, by this version or by a later one, whose new fields are passed over."""
        if data["settings"] != self._settings_data:
            self._settings_data = data["settings"]
            self._settings_parsed = SessionSettings.model_validate(self._settings_data, extra="ignore")
        return self._settings_parsed

    def _hold(self, kind: str, by: Literal["user", "voice"]) -> None:
        """Applies a pause or a resume. A pause by the user outlasts speech that is heard meanwhile."""
        if by == "user" or self.paused_by != "user":
            self.paused_by = by if kind == "playback.paused" else None

    def _start(self, recorded: Recorded) -> None:
        data = recorded.data
        self.kind = data.get("kind", "session")
        self.principal = data.get("principal", "")
        self.parent = data.get("parent")
        self.parent_seq = Seq(data.get("parent_seq") or 0)
        self.title = data.get("title", "")
        self.settings = self._taken(data)
        self.created_ms = recorded.ts_ms

    def _ask(self, recorded: Recorded) -> None:
        data, turn = recorded.data, TurnId(recorded.seq)
        self.paused_by = None  # a user who asks wants to hear the answer
        state = TurnState(turn, data["kind"], data["text"], self._taken(data), recorded.ts_ms, place=turn)
        state.input, state.narrate = data.get("input"), data.get("narrate")
        state.by, state.traceparent = data.get("by", ""), data.get("traceparent", "")
        state.merges, state.result_of, state.continues = map(data.get, ("merges", "result_of", "continues"))
        state.place, state.first = _place_and_first(self.turns, turn, data)
        if marks := [*(data.get("marks") or ()), *(data.get("voices") or ())]:
            state.marks_json = kept_json(marks)
        state.keeps = KeptReading.model_validate(kept) if (kept := data.get("keeps")) else None
        if data.get("given") is not None:
            state.given_json = kept_json(data["given"])
        self.turns[turn] = self._open[turn] = state
        if (heard := self.inputs.get(state.input or "")) is not None:
            heard.asked(data.get("utterances", ()))

    def _share(self, recorded: Recorded) -> None:
        if recorded.type == "share.created":
            self.shares[recorded.data["share"]] = {**recorded.data, "created_ms": recorded.ts_ms}
        elif recorded.type == "share.revoked":
            self.shares.pop(recorded.data["share"], None)
        elif recorded.type == "member.removed":
            self.members.discard(recorded.data["principal"])
        elif principal := recorded.data["principal"]:  # none in a copy
            self.members.add(principal)

    def _narrate(self, recorded: Recorded) -> None:
        """The latest request for a scene counts; news of an earlier one changes nothing. A narration that
        a copy was not given counts as never asked for."""
        data = recorded.data
        session = SessionId(data["session"])
        if session == NOWHERE:
            return
        if recorded.type == "narration.requested":
            before = self.narrations.get(recorded.turn)
            earlier = [] if before is None else before.earlier  # one list, however many attempts there are
            earlier += [] if before is None else [before.session]
            voices, again = kept_json(data.get("voices") or []), data.get("again") or ()
            parts = tuple(map(TextPart.model_validate, again))
            heard = None if before is None else before.latest_ready
            self.narrations[recorded.turn] = NarrationState(
                session, data["by"], len(earlier) + 1, earlier, heard, voices_json=voices, again=parts
            )
        state = self.narrations.get(recorded.turn)
        if state is None or state.session != session:
            return
        if recorded.type == "narration.ready":
            state.status, state.chunks, state.audio_ms = "ready", data["chunks"], data["audio_ms"]
        elif recorded.type == "narration.failed":
            state.status, state.error = "failed", dict(data)

    def request(self, request: TurnRequested, *, queue_limit: int) -> TurnRequested:
        """The event that asks for a turn. Raises StateError, TurnNotFound or Forbidden."""
        self._refuse_if_over()
        _check_place(self, request)
        if len(self.unfinished) > queue_limit:
            raise TurnQueueFull(f"{queue_limit} turns are waiting already; stop one or wait", field="prompt")
        return request

    def control(
        self, action: ControlAction, *, turn: TurnId | None, sentence: int | None
    ) -> tuple[TurnId, Event]:
        """The event that carries out the command, and the turn it is about."""
        self._refuse_if_over()
        if action in ("pause", "resume"):
            return NO_TURN, PlaybackPaused() if action == "pause" else PlaybackResumed()
        if action == "stop" and turn is not None and turn in self.turns and self.turns[turn].only_heard:
            return turn, PlaybackFlushed(reason="stopped")
        target = self._target(turn)
        if action == "stop":
            return target.turn, TurnStopRequested()
        return target.turn, SentenceSkipRequested(sentence=_sentence_to_skip(target, sentence))

    def _refuse_if_over(self) -> None:
        if self.ended or self.ending:
            raise SessionAlreadyEnded("this session has ended; create a new one")

    def _target(self, turn: TurnId | None) -> TurnState:
        if turn is not None and turn not in self.turns:
            raise TurnNotFound(f"this session has no turn {turn}", field="turn")
        target = self.turns[turn] if turn is not None else self.running or next(iter(self.waiting), None)
        if target is None or target.over:
            raise NothingToControl("no turn is running", field="turn")
        return target


def current_turns(conversation: Conversation) -> list[TurnState]:
    """Of each place the version that counts, in the order of the places.

    A turn that replaces another stands in its place, unless nothing came of it. In a story the scenes behind
    the place stay; in a chat the turns behind it answered another version, and do not count any more.
    """
    chat = conversation.kind != "story"
    found: dict[TurnId, TurnState] = {}
    for turn in conversation.turns.values():
        if turn.place in found:
            if _is_lost(turn) if chat else turn.status in ("failed", "stopped"):
                continue
            while chat and next(reversed(found)) != turn.place:
                found.popitem()
        found[turn.place] = turn
    return list(found.values())


def _is_lost(turn: TurnState) -> bool:
    """It ended without a word, and without a call that its client was to make and goes on after."""
    called = any(call.place == "client" for call in turn.calls.values())
    return turn.over and not (called or any(turn.parts))


def _check_replaced(conversation: Conversation, request: TurnRequested) -> None:
    if (turn := request.replaces) is None:
        return
    replaced = conversation.turns.get(TurnId(turn))
    if replaced is None:
        raise TurnNotFound(f"this session has no turn {turn}", field="replaces")
    chat = conversation.kind != "story"
    if conversation.unfinished if chat else not replaced.over:
        raise TurnNotReplaceable("a turn is still being answered; wait or stop it", field="replaces")
    counting = current_turns(conversation)
    if chat and all(one is not replaced for one in counting):
        raise TurnNotReplaceable("another version of this turn counts by now", field="replaces")
    guest = request.by if conversation.principal else ""
    if guest and any(one.by != guest for one in counting if one.turn >= replaced.turn):
        raise Forbidden(
            "you may replace only a turn of your own that nobody else's turn follows", field="replaces"
        )


def _place_and_first(
    turns: Mapping[TurnId, TurnState], turn: TurnId, data: Mapping[str, Any]
) -> tuple[TurnId, TurnId]:
    """The first of the turn's versions, and the first turn of the answer that it goes on with, 0 for none."""
    replaced, continued = turns.get(data.get("replaces") or NO_TURN), TurnId(data.get("continues") or 0)
    before = turns.get(continued)
    return turn if replaced is None else replaced.place, (before.first if before else continued) or continued


def _check_place(conversation: Conversation, request: TurnRequested) -> None:
    _check_replaced(conversation, request)
    _check_continued(conversation, request)


def _check_continued(conversation: Conversation, request: TurnRequested) -> None:
    if request.continues is None:
        return
    if request.kind != "prompt" or request.replaces is not None:
        raise InputError("only a prompt that replaces nothing continues a turn", field="continues")
    continued = conversation.turns.get(TurnId(request.continues))
    if continued is None:
        raise TurnNotFound(f"this session has no turn {request.continues}", field="continues")
    if current_turns(conversation)[-1].turn != request.continues:
        raise StateError("another turn follows this one", field="continues")
    if not continued.over:
        raise StateError("this turn is still being answered; wait or stop it", field="continues")


def _without_schemas(settings: SessionSettings) -> SessionSettings:
    """For a turn that is over: as objects, schemas take thirty times as much memory as in the log."""
    large = settings.tools.functions or settings.pronunciations
    if not large and settings.sampling.json_schema is None:
        return settings
    return settings.model_copy(update=_USUAL)


def _sentence_to_skip(turn: TurnState, sentence: int | None) -> int:
    """The one named, or else the first that still has audio to come. Raises InputError."""
    if sentence is not None and sentence > len(turn.sentences) + _AHEAD:
        raise InputError(f"the answer has {len(turn.sentences)} sentences so far", field="sentence")
    if sentence is not None:
        return sentence
    open_ones = (
        s.number
        for s in turn.sentences
        if s.spoken and s.status in ("ready", "voiced") and s.number not in turn.skips
    )
    return next(open_ones, len(turn.sentences))
