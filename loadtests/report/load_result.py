"""The report as JSON. Readers look at `version` first; a field that means something else gets a new one."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PARTS: Final = {
    "Gateway": "a gateway",
    "Log server": "the log server",
    "Workers": "a worker",
    "TextToSpeech": "a voice",
    "SpeechToText": "speech to text",
    "LanguageModel": "a language model",
}
"""Parts of the system that are killed, each once in a round, with their names in words."""
LATE_MS: Final = 25.0
"""A client that is late by more than that itself (p99) is seen in its own figures."""


class ReportPart(BaseModel):
    """Everything that a report as JSON is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Latency(ReportPart):
    """One series, in milliseconds. Percentiles by nearest rank."""

    n: int
    p50: float
    p95: float
    p99: float
    most: float
    edges: tuple[float, ...]
    """Of the histogram: the upper edge of each bucket; the last holds everything above the one before."""
    counts: tuple[int, ...]


class CallerCounts(ReportPart):
    """Counts of callers by outcome."""

    planned: int
    fine: int
    refused: int
    """By the system, politely: 429, or a code of admission control. No failure."""
    refused_by_us: int
    """This client had no room for so many at once: nothing was asked of the system."""
    failed: int
    unfinished: int
    """Still there when the run was over."""
    lost_with_process: int = 0
    """A process of this client died: what its callers saw is not known, and those yet to come did not."""
    moved: int = 0
    """How often a gateway that was leaving sent one of their listeners on to another, and they followed."""
    broken: int = 0
    """How often a connection just ended, and its listener came back: only where things are killed."""
    undeleted: int = 0
    """Sessions that could not be deleted."""
    most_at_once: int
    retry_after_s: float | None
    """Mean Retry-After of refusals; None: no refusal had one."""
    retry_after_range_s: tuple[float, float] | None = None
    """The least and the most of it."""
    refused_untold: int = 0
    """Refused without being told when to come back."""
    refused_inside: int = 0
    """Refused although an earlier question of theirs had been taken."""
    codes: dict[str, int]
    """Refusals and failures by their code."""


class OracleFault(ReportPart):
    kind: str
    person: int
    scenario: str
    session: str
    words: str


class CallerFailure(ReportPart):
    """Why somebody failed, or was refused."""

    person: int
    scenario: str
    at_s: float
    code: str
    words: str
    sessions: tuple[str, ...]


class Judgement(ReportPart):
    """Findings of the oracles."""

    listeners: int
    facts: int
    """Events that the listeners received; stored reports have this name."""
    answers: int
    """Questions that were taken, each with the answer that belongs to it, whatever became of it."""
    answered: int = 0
    """Of them, those of which text (unless it was given) or sound came, or that were completed."""
    answers_with_gaps: int
    counts: dict[str, int]
    """Faults of each kind, kinds without any included."""
    compared_with_log: int
    """Sessions that were read again from the log and compared with what was heard."""
    given_up: dict[str, int] = {}
    """Failures that the system reported, by event and code: "sentence.failed engine.dead"."""
    examples: tuple[OracleFault, ...]
    """The first of each kind."""


class TimelineStep(ReportPart):
    """A stretch of time, for timelines. Latencies belong to the moment at which somebody began to wait."""

    at_s: float
    people: float
    came: int
    refused: int
    failed: int
    ttfa_p50_ms: float | None = None
    ttfa_p95_ms: float | None = None
    ttft_p50_ms: float | None = None


class SystemLoad(ReportPart):
    """Usage of the system, with so many callers inside."""

    at_s: float
    people: float
    gateway_mb: float | None = None
    log_mb: float | None = None
    cores: float | None = None
    log_commands_per_s: float | None = None
    part_cores: dict[str, float] = {}
    """Of each part of the system; only of one on this machine that this command has started itself."""
    part_mb: dict[str, float] = {}
    part_fds: dict[str, int] = {}
    """Open file descriptors, the same way."""
    part_threads: dict[str, int] = {}
    processes: int | None = None
    tasks: float | None = None
    """Of the event loops of all gateways and workers."""
    keys: int | None = None
    """In the log server, without those that expire."""
    streams: int | None = None
    """In the log server, of all sessions and for the workers."""
    log_disk_mb: float | None = None


class ProcessKill(ReportPart):
    """A process that was killed with SIGKILL."""

    at_s: float
    part: str
    pid: int | None = None
    """None: there was none to be killed."""
    back_s: float | None = None
    """Until a process of the same part with another number was there; None: none came while we looked."""


class SystemSeen(ReportPart):
    """The system as its operator sees it."""

    looked: bool
    why_not: str
    """Reason why the system was not looked at."""
    loads: tuple[SystemLoad, ...] = ()
    gateway_growth_mb_per_min: float | None = None
    """Of all gateways, while they live (lives.py); None: not looked at, or too short to say."""
    growth_mb_per_min: dict[str, float] = {}
    """The same of each part whose memory was looked at, the log's own included."""
    fd_growth_per_min: dict[str, float] = {}
    """Of each part, in the same way; so are the next two."""
    thread_growth_per_min: dict[str, float] = {}
    task_growth_per_min: float | None = None
    process_growth_per_min: float | None = None
    """Of a system of its own: slope of the second half of the run; so are those below."""
    key_growth_per_min: float | None = None
    stream_growth_per_min: float | None = None
    kills: tuple[ProcessKill, ...] = ()


class ProcessSeen(ReportPart):
    """One process of this client."""

    people: int
    late_p99_ms: float
    late_most_ms: float
    starts_late_p99_ms: float
    cpu_s: float
    died: str = ""
    """How it ended before its time; empty: it did not."""


class ClientSeen(ReportPart):
    """This client itself: what is measured is no better than it. Lateness is that of its worst process."""

    late_p99_ms: float
    late_most_ms: float
    starts_late_p99_ms: float
    """How much later than due callers began."""
    cpu_s: float
    frames: int
    megabytes: float
    processes: tuple[ProcessSeen, ...] = ()

    @property
    def late(self) -> bool:
        """So late itself that it measures itself."""
        return self.late_p99_ms > LATE_MS


class Requirement(ReportPart):
    wish: str
    value: float | None
    """None: there are no figures."""
    kept: bool


class LoadResult(ReportPart):
    """One run."""

    version: Literal[1] = 1
    when: str
    machine: str
    commit: str
    url: str
    own_system: bool
    """Started for this run, with scripted engines."""
    command: str
    scenario: str
    arrivals: str
    seconds: float
    stopped: bool = False
    """By hand, before its end."""
    seed: int
    people: CallerCounts
    by_scenario: dict[str, CallerCounts]
    failures: tuple[CallerFailure, ...] = ()
    """The first of each code."""
    latencies: dict[str, Latency]
    judgement: Judgement
    timeline: tuple[TimelineStep, ...]
    system: SystemSeen
    client: ClientSeen
    requirements: tuple[Requirement, ...] = Field(default=())
    stolen: float = 0.0
    """Which part of the processors other machines on the same hardware had meanwhile, where that is told."""
    notes: tuple[str, ...] = ()
    """Remarks beside the figures."""
