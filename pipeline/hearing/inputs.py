"""What a session's facts say of one input: how far it is safe, and what of it is not written down yet."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from schemas.ids import Seq
from schemas.recorded import Recorded
from schemas.voice_facts import Taken

FACTS = frozenset(
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


@dataclass(frozen=True, slots=True)
class Spoken:
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
    """Where the sound is that may be needed again: its milliseconds, and its fact."""
    utterances: int = 0
    """How many have begun."""
    begun_ms: int | None = None
    """Where the utterance began that is being spoken."""
    settled_ms: int = 0
    """What was said before is written down, or was taken back."""
    unwritten: dict[int, "Spoken"] = field(default_factory=dict)
    """Utterances that are over and not written down."""
    kept: list[tuple[int, str]] = field(default_factory=list)
    """Utterances that wait for the next one before they are asked: number and text."""
    closed: bool = False
    texts: dict[int, str] = field(default_factory=dict)
    """What was said, by utterance."""

    @property
    def rest_ms(self) -> int:
        """Who goes on with this input must hear it from here, to miss no word."""
        if self.unwritten:
            return min(spoken.start_ms for spoken in self.unwritten.values())
        return max(self.settled_ms, self.recorded_ms) if self.begun_ms is None else self.begun_ms

    @property
    def next_utterance(self) -> int:
        """The number of the utterance that is heard next, from `rest_ms` on."""
        return min(self.unwritten, default=self.utterances - (self.begun_ms is not None))

    @property
    def commits(self) -> tuple[int, ...]:
        """Where, from `rest_ms` on, an utterance ends because its speaker said so."""
        return tuple(sorted(spoken.at_ms for spoken in self.unwritten.values() if spoken.committed))

    def asked(self, utterances: Sequence[int]) -> None:
        """They wait no longer."""
        self.kept = [kept for kept in self.kept if kept[0] not in utterances]

    def settle(self, end_ms: int) -> None:
        """What was said before is done with."""
        self.settled_ms = max(self.settled_ms, end_ms)
        # Whoever heard it again may have found fewer pauses in it.
        self.unwritten = {
            number: spoken for number, spoken in self.unwritten.items() if spoken.start_ms >= self.settled_ms
        }

    def hold(self, at_ms: int, seq: Seq) -> None:
        """There is sound at `at_ms`; of what is older only so much is remembered as may be needed."""
        self.sounds.append((at_ms, seq))
        while len(self.sounds) > 1 and self.sounds[1][0] <= self.rest_ms - _SPAN_MS:
            self.sounds.popleft()


def apply_to_inputs(inputs: dict[str, InputState], recorded: Recorded) -> None:
    """Take in the next fact about an input."""
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
            # Whoever lost the input may not know it yet: then the same sound is there twice.
            known.recorded_ms = max(known.recorded_ms, data["at_ms"] + data["ms"])
            known.hold(data["at_ms"], recorded.seq)
        case "input.closed":
            _close(known, recorded)
        case "speech.started":
            known.utterances = max(known.utterances, data["utterance"] + 1)
            known.begun_ms = data["at_ms"]
        case "speech.ended":
            known.begun_ms = None
            spoken = Spoken(data["start_ms"], data["end_ms"], data["at_ms"], data["reason"] == "commit")
            known.unwritten[data["utterance"]] = spoken
        case "speech.discarded":
            known.begun_ms = None
            known.settle(data["at_ms"])
        case "transcript.final" | "transcript.failed":
            _write(known, recorded)


def _close(state: InputState, recorded: Recorded) -> None:
    state.closed = True
    if recorded.data["reason"] != "failed":
        state.begun_ms = None
        state.settle(recorded.data["ms"])


def _write(state: InputState, recorded: Recorded) -> None:
    data = recorded.data
    number: int = data["utterance"]
    spoken = state.unwritten.pop(number, None)
    state.settle(data.get("end_ms", spoken.end_ms if spoken else 0))
    if recorded.type == "transcript.failed":
        return
    state.texts[number] = data["text"]
    if data["taken"] == "kept":
        state.kept.append((number, data["text"]))
    elif data["taken"] in _ANSWERED:
        state.kept.clear()
