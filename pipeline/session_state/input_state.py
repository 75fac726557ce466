"""State of one audio input by a session's events: how far it is stored, and what is not transcribed yet.

    sound   ~~ one ~~~~~~~ two ~~~~~~~~~~~~~ thr          settled_ms <= rest_ms, and nothing is after at_ms
                 |        |     |              | |
                 |        |     |              | at_ms: how far an Intake has listened
                 |        |     |              recorded_ms: so far it is in the log, or was silent
                 |        |     done_ms: so far it belongs to utterances that are over, "two" being the last
                 |        rest_ms: here "two" began, which nobody has written down: who comes next begins here
                 settled_ms: "one" is written down, and all before it

`told_ms`, of an Intake as `at_ms` and `done_ms`, is where it was when its sender last heard how far it is.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from schemas.events.recorded import Recorded
from schemas.events.voice_events import Taken
from schemas.ids import NO_TURN, Seq, TurnId

EVENTS = frozenset(
    {
        "input.opened",
        "input.audio",
        "input.closed",
        "speech.started",
        "speech.ended",
        "speech.discarded",
        "transcript.final",
        "transcript.failed",
    }
)
_ANSWERED: frozenset[Taken] = frozenset({"turn", "joined", "noted"})
_SPAN_MS = 8_000
"""So much sound before the earliest that is needed may be asked for, padding included."""
_LONGEST_MS = 60_000
"""No utterance is longer: one that began before so much sound was not found again by who listens now."""
_PATIENCE_MS = 300_000
"""Nor is an utterance heard again that nobody has written down for so long."""


class KnownCommand(NamedTuple):
    """A commit or clear of the client, with its place in the sound; repeated on recovery."""

    at_ms: int
    command: Literal["commit", "clear"]
    utterance: int


@dataclass(frozen=True, slots=True)
class EndedUtterance:
    """An utterance that is over."""

    start_ms: int
    end_ms: int
    at_ms: int
    """Where the input was when that was known."""
    committed: bool


@dataclass(slots=True)
class InputState:
    """One microphone or file so far."""

    name: str
    opened: Seq
    """Where it was opened last: whoever opened it before has lost it."""
    record: bool
    source: Literal["microphone", "file"] = "microphone"
    recorded_ms: int = 0
    """Up to here its sound is in the log."""
    sounds: deque[tuple[int, Seq]] = field(default_factory=deque)
    """Where the sound is that may be needed again: its milliseconds, and its event."""
    utterances: int = 0
    """How many have begun."""
    begun_ms: int | None = None
    """Where the utterance began that is being spoken."""
    settled_ms: int = 0
    """Speech before this place is transcribed, or was taken back."""
    unwritten: dict[int, EndedUtterance] = field(default_factory=dict)
    """Utterances that are over and not written down."""
    parts: list[int] = field(default_factory=list)
    """Utterances that were cut by their length, since the last one that was not: the speaker goes on."""
    kept: list[tuple[int, str]] = field(default_factory=list)
    """Utterances that wait for the next one before they are asked: number and text."""
    closed: bool = False
    texts: dict[int, str] = field(default_factory=dict)
    """Final transcripts by utterance."""
    done: set[int] = field(default_factory=set)
    """Utterances that are written down, or never will be."""
    clears: deque[KnownCommand] = field(default_factory=deque)
    """Utterances that were taken back while one before them had no transcript yet."""

    @property
    def rest_ms(self) -> int:
        """Milliseconds from which a recovered input has to be heard again, so that no word is lost."""
        if waiting := self._waiting:
            return min(spoken.start_ms for spoken in waiting.values())
        if self.begun_ms is not None and self.begun_ms > self.recorded_ms - _LONGEST_MS:
            return self.begun_ms
        return max(self.settled_ms, self.recorded_ms)

    @property
    def next_utterance(self) -> int:
        """The number of the utterance that is heard next, from `rest_ms` on."""
        return min(self._waiting, default=self.utterances - (self.begun_ms is not None))

    @property
    def commands(self) -> tuple[KnownCommand, ...]:
        """Commits and clears of the client in the sound from `rest_ms` on, in order."""
        waiting = self._waiting.items()
        commits = [KnownCommand(one.at_ms, "commit", number) for number, one in waiting if one.committed]
        return tuple(sorted([*commits, *self.clears]))

    @property
    def _waiting(self) -> dict[int, EndedUtterance]:
        oldest_ms = self.recorded_ms - _PATIENCE_MS
        return {number: one for number, one in self.unwritten.items() if one.start_ms > oldest_ms}

    def asked(self, utterances: Sequence[int]) -> None:
        """They wait no longer."""
        gone = frozenset(utterances)
        self.kept = [kept for kept in self.kept if kept[0] not in gone]
        self.parts = [number for number in self.parts if number not in gone]

    def settle(self, end_ms: int) -> None:
        """Marks the sound before `end_ms` as settled."""
        self.settled_ms = max(self.settled_ms, end_ms)
        # A second transcription may have found fewer pauses in it.
        self.unwritten = {
            number: spoken for number, spoken in self.unwritten.items() if spoken.start_ms >= self.settled_ms
        }
        self._settle_clears()

    def take_back(self, utterance: int, at_ms: int) -> None:
        """Drops the utterance and its parts that were cut: the client cleared the buffer."""
        gone = {utterance, *self.parts}
        self.done |= gone
        self.unwritten = {number: one for number, one in self.unwritten.items() if number not in gone}
        self.kept = [kept for kept in self.kept if kept[0] not in gone]
        self.parts, self.begun_ms = [], None
        self.clears.append(KnownCommand(at_ms, "clear", utterance))
        self._settle_clears()

    def _settle_clears(self) -> None:
        """Settles clears with nothing untranscribed before them; later ones are repeated on recovery."""
        first_ms = min((one.start_ms for one in self.unwritten.values()), default=None)
        while self.clears and (first_ms is None or self.clears[0].at_ms <= first_ms):
            self.settled_ms = max(self.settled_ms, self.clears.popleft().at_ms)

    def hold(self, at_ms: int, seq: Seq) -> None:
        """There is sound at `at_ms`; of what is older only so much is remembered as may be needed."""
        self.sounds.append((at_ms, seq))
        while len(self.sounds) > 1 and self.sounds[1][0] <= self.rest_ms - _SPAN_MS:
            self.sounds.popleft()


def apply_to_inputs(inputs: dict[str, InputState], recorded: Recorded) -> None:
    """Take in the next event about an input."""
    data = recorded.data
    name: str = data["input"]
    if recorded.type == "input.opened":
        record = data["settings"]["record"]
        state = inputs.setdefault(name, InputState(name, recorded.seq, record, data["source"]))
        state.opened, state.record, state.closed = recorded.seq, record, False
        return
    if (known := inputs.get(name)) is None:
        return
    match recorded.type:
        case "input.audio":
            # A gateway that lost the input may not know it yet: then the same sound is there twice.
            known.recorded_ms = max(known.recorded_ms, data["at_ms"] + data["ms"])
            known.hold(data["at_ms"], recorded.seq)
        case "input.closed":
            _close(known, recorded)
        case "speech.started":
            known.utterances = max(known.utterances, data["utterance"] + 1)
            known.begun_ms = data["at_ms"]
        case "speech.ended":
            _end(known, data)
        case "speech.discarded":
            known.take_back(data["utterance"], data["at_ms"])
        case "transcript.final" | "transcript.failed":
            _write(known, recorded)


def _close(state: InputState, recorded: Recorded) -> None:
    state.closed = True
    if recorded.data["reason"] != "failed":
        state.begun_ms = None
        state.settle(recorded.data["ms"])


def _end(state: InputState, data: Mapping[str, Any]) -> None:
    number: int = data["utterance"]
    state.begun_ms = None
    state.parts = [*state.parts, number] if data["reason"] == "max_length" else []
    if number not in state.done:
        committed = data["reason"] == "commit"
        state.unwritten[number] = EndedUtterance(data["start_ms"], data["end_ms"], data["at_ms"], committed)


def _write(state: InputState, recorded: Recorded) -> None:
    data = recorded.data
    number: int = data["utterance"]
    taken_back = number in state.done
    state.done.add(number)
    spoken = state.unwritten.pop(number, None)
    state.settle(data.get("end_ms", spoken.end_ms if spoken else 0))
    if recorded.type == "transcript.failed" or taken_back:
        return
    state.texts[number] = data["text"]
    if data["taken"] == "kept":
        state.kept.append((number, data["text"]))
    elif data["taken"] in _ANSWERED:
        state.kept.clear()


_EVENTS: Final = frozenset({"call.transferred", "call.hung_up", "dtmf.received"})
_KEYS: Final = 64


@dataclass(slots=True)
class PhoneState:
    """The call of a session."""

    call: str
    connection: str = ""
    """The media stream that counts."""
    connections: int = 0
    keys: str = ""
    """Pressed since the last prompt, at most 64."""
    over: bool = False
    """It is to be hung up or transferred ..."""
    after: TurnId = NO_TURN
    """... once this turn's answer was heard; NO_TURN: at once."""
    transfer_to: str = ""


def apply_to_phone(phone: PhoneState | None, recorded: Recorded) -> PhoneState | None:
    """Returns the call after the event; None: the session has no call by telephone."""
    data = recorded.data
    if recorded.type == "turn.requested" and phone is not None:
        phone.keys = ""
    elif recorded.type == "call.connected":
        if phone is None or phone.call != data["call"]:
            phone = PhoneState(data["call"])
        phone.connection = data["connection"]
        phone.connections += 1
    elif phone is None or recorded.type not in _EVENTS or phone.call != data["call"]:
        return phone
    elif recorded.type == "dtmf.received":
        phone.keys = (phone.keys + data["digit"])[-_KEYS:]
    elif not phone.over:
        phone.over, phone.after = True, recorded.turn
        phone.transfer_to = data.get("to", "")
    return phone
