"""Opening of an audio input, and the services that all audio inputs of a process share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from pipeline.core.clock import Clock
from pipeline.engines.ports import Transcribers
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.recorder import Recorder
from pipeline.observability.tracer import Tracing
from pipeline.session_state.input_state import KnownCommand
from pipeline.sessions.session_commands import Sessions
from pipeline.stt.inputs.input_leases import InputLease, InputLeases
from pipeline.stt.interruption import InterruptionHandler
from pipeline.stt.vad import Vad
from schemas.ids import Seq, SessionId
from schemas.settings.listening_settings import ListeningSettings

Source = Literal["microphone", "file"]


@dataclass(frozen=True, slots=True)
class InputServices:
    """Services that all audio inputs of a process share."""

    log: EventLog
    sessions: Sessions
    recorder: Recorder
    transcribers: Transcribers
    clock: Clock
    interruption: Callable[[SessionId], InterruptionHandler]
    vad: Callable[[], Vad]
    held: InputLeases
    claim: Callable[[InputLease, str, int], Awaitable[bool]]
    """For so many ms nobody else takes this input up, if this says so."""
    tracing: Tracing | None = None
    """None: nothing is traced."""
    heard: Callable[[str, int], Awaitable[None]] | None = None
    """Takes so many ms from what a principal may have written down, or raises LimitReached."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an input was opened, and what is known of it."""

    session: SessionId
    input: str
    source: Source
    settings: ListeningSettings
    language: str | None
    """That is spoken; None: it is found out."""
    seq: Seq
    """Of the event that says so."""
    at_ms: int = 0
    """Where the sound begins that is given first."""
    from_ms: int = 0
    """Where the sender goes on."""
    utterance: int = 0
    """The number of the next one."""
    recorded_ms: int = 0
    """Up to here the sound is in the log already."""
    before: bytes = b""
    """The sound just before `at_ms`, if it is known: whole frames."""
    commands: tuple[KnownCommand, ...] = ()
    """Description that the client gave of the first sound, as the log knows already."""
    cut: bool = False
    """The last utterance was cut by its length: it goes on."""

    @property
    def is_file(self) -> bool:
        return self.source == "file"


def for_source(settings: ListeningSettings, source: Source) -> ListeningSettings:
    """A file is not live: nobody waits for its words one by one, and it interrupts nobody.

    Nothing is distant that a speaker ends by hand.
    """
    if source == "microphone":
        by_hand = settings.turn_detection == "manual"
        return settings.model_copy(update={"distant_db": None}) if by_hand else settings
    only_at_the_end = {"speculate_ms": None, "speculate_elsewhere_ms": None, "hint": False}
    endpointing = settings.endpointing.model_copy(update=only_at_the_end)
    live = {"partials_ms": 0, "barge_in": False, "turn_detection": "vad", "distant_db": None}
    return settings.model_copy(update={"endpointing": endpointing, **live})
