"""The record of one virtual caller, kept when its visit is over."""

from dataclasses import dataclass, field
from typing import Literal

from loadtests.client.oracles import OracleFinding
from loadtests.client.received_events import ReceivedEvents

CallerOutcome = Literal["fine", "refused", "refused_by_us", "failed", "unfinished", "lost_with_process"]
"""`refused`: by the system, politely. `refused_by_us`: there was no room for so many in this client, so that
nothing was asked. `unfinished`: still there when the run was over. `lost_with_process`: a process of this
client died, and with it what its callers had seen."""
SERIES = {
    "open": "from when somebody was due to come until they were connected to a session of their own",
    "ttft": "time to first text, from when the question was due",
    "ttfa": "time to first audio, from when the question was due",
    "v2v": "voice to voice: from the last sound of the question to the first of the answer",
    "whole": "from when the question was due to the end of the answer's events",
    "resume": "from a cut connection to the first event after it",
    "held": "from the onset of speech over an answer to silence: it is held, or given up at once",
    "flushed": "from the onset of speech over an answer to its being given up",
}
"""Every latency that is measured; all in milliseconds."""


@dataclass(frozen=True, slots=True)
class LatencySample:
    """One latency, by the time at which it began to be waited for (seconds after the run's beginning)."""

    series: str
    at_s: float
    ms: float


@dataclass(slots=True)
class CallerRecord:
    """One caller's stay."""

    number: int
    scenario: str
    due_s: float
    """After the run's beginning."""
    late_s: float = 0.0
    """So much later this client began; every latency is counted from when it was due all the same."""
    ended_s: float | None = None
    outcome: CallerOutcome = "unfinished"
    code: str = ""
    words: str = ""
    retry_after_s: float | None = None
    asked: int = 0
    """Questions of theirs that had been taken when they left."""
    samples: list[LatencySample] = field(default_factory=list)
    heard: list[tuple[str, ReceivedEvents]] = field(default_factory=list)
    """Each listener of each session."""
    cuts: int = 0
    differing: list[OracleFinding] = field(default_factory=list)
    """Differences from the log, when it was read again."""
    compared: int = 0
    """Sessions that were read again."""
    settled: bool = False
    """Nothing of it is left to be read again or deleted."""
    moves: int = 0
    """How often a gateway that was leaving sent a listener on to another one."""
    broken: int = 0
    """How often a connection ended without a word, and its listener came back."""
    deletions: set[str] = field(default_factory=set)
    """Sessions whose deletion was begun: one that was cut off may have been done all the same."""
    undeleted: int = 0
    """Sessions that could not be deleted."""

    @property
    def sessions(self) -> list[str]:
        return list(dict.fromkeys(session for session, _ in self.heard))
