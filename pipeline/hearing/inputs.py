"""What a session's facts say of one input: how far it is safe, and what of it is not written down yet."""

from dataclasses import dataclass, field

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


@dataclass(slots=True)
class InputState:
    """One microphone or file so far."""

    name: str
    opened: Seq
    """Where it was opened last: whoever opened it before has lost it."""
    record: bool
    recorded_ms: int = 0
    """Up to here its sound is in the log."""
    recorded_from_ms: int = 0
    first_audio: Seq | None = None
    utterances: int = 0
    """How many have begun."""
    begun_ms: int | None = None
    """Where the utterance began that is being spoken."""
    settled_ms: int = 0
    """What was said before is written down, or was taken back."""
    unwritten: dict[int, int] = field(default_factory=dict)
    """Utterances that are over and not written down: number to beginning."""
    kept: list[tuple[int, str]] = field(default_factory=list)
    """Utterances that wait for the next one before they are asked: number and text."""
    closed: bool = False
    texts: dict[int, str] = field(default_factory=dict)
    """What was said, by utterance."""

    @property
    def rest_ms(self) -> int:
        """Who goes on with this input must hear it from here, to miss no word."""
        if self.unwritten:
            return min(self.unwritten.values())
        return max(self.settled_ms, self.recorded_ms) if self.begun_ms is None else self.begun_ms

    @property
    def next_utterance(self) -> int:
        """The number of the utterance that is heard next, from `rest_ms` on."""
        return min(self.unwritten, default=self.utterances - (self.begun_ms is not None))


def apply_to_inputs(inputs: dict[str, InputState], recorded: Recorded) -> None:
    """Take in the next fact about an input."""
    data = recorded.data
    name: str = data["input"]
    if recorded.type == "input.opened":
        record = data["settings"]["record"]
        state = inputs.setdefault(name, InputState(name, recorded.seq, record))
        state.opened, state.record, state.closed = recorded.seq, record, False
        return
    if (known := inputs.get(name)) is None:
        return
    match recorded.type:
        case "input.audio":
            if known.first_audio is None:
                known.first_audio, known.recorded_from_ms = recorded.seq, data["at_ms"]
            known.recorded_ms = data["at_ms"] + data["ms"]
        case "input.closed":
            known.closed = True
        case "speech.started":
            known.utterances = max(known.utterances, data["utterance"] + 1)
            known.begun_ms = data["at_ms"]
        case "speech.ended":
            known.begun_ms = None
            known.unwritten[data["utterance"]] = data["start_ms"]
        case "speech.discarded":
            known.begun_ms = None
            known.settled_ms = max(known.settled_ms, data["at_ms"])
        case "transcript.final" | "transcript.failed":
            _settle(known, recorded)


def _settle(state: InputState, recorded: Recorded) -> None:
    data = recorded.data
    number: int = data["utterance"]
    state.unwritten.pop(number, None)
    if recorded.type == "transcript.failed":
        return
    state.settled_ms = max(state.settled_ms, data["end_ms"])
    state.texts[number] = data["text"]
    if data["taken"] == "kept":
        state.kept.append((number, data["text"]))
    elif data["taken"] in _ANSWERED:
        state.kept.clear()
