"""Every name that we publish, with its unit, its labels, its buckets and its meaning, in one place.

Numbers from the log are the same whoever works them out, also from an old log. Those of a process live as
long as it does; those of the server are asked for when somebody looks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, get_args

from schemas.errors import EngineError, RhapsodeError
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.events import Kind as SessionKind
from schemas.settings.listening_settings import Mode

Kind = Literal["counter", "gauge", "histogram"]
Source = Literal["log", "process", "server"]

SECONDS: Final = (
    *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 30.0),
)
QUICK: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.015, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
RATIOS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)
SENTENCES_AHEAD: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. Histograms and fractional counters are kept in whole millionths, so that sums are exact."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    source: Source = "log"
    fractional: bool = False


def _counted(name: str, help: str, *labels: str, fractional: bool = False) -> Metric:
    return Metric(f"rhapsode_{name}_total", "counter", help, labels, fractional=fractional)


def _spread(name: str, help: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Metric:
    return Metric(f"rhapsode_{name}", "histogram", help, labels, buckets)


def _of_process(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"rhapsode_{name}", "gauge", help, ("process", *labels), source="process")


def _of_server(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"rhapsode_{name}", "gauge", help, labels, source="server")


# ---------------------------------------------------------------- of turns, from the log

TURNS: Final = _counted("turns", "Turns that are over.", "kind", "input", "outcome")
TURN_ERRORS: Final = _counted("turn_errors", "Turns that failed.", "stage", "code")
TAKEOVERS: Final = _counted("takeovers", "Turns that another owner went on with, counted at their end.")
OWNER_CHANGES: Final = _counted("owner_changes", "Sessions that got another owner, with or without a turn.")
QUEUE_WAIT: Final = _spread("queue_wait_seconds", "From a turn's request to the start of work on it.")
TTFT: Final = _spread(
    "time_to_first_token_seconds", "From the call of the language model to its first words.", "provider"
)
FIRST_TEXT: Final = _spread(
    "time_to_first_text_seconds", "From a turn's request to its first text in the log (prompts only)."
)
DELTA_GAP: Final = _spread("delta_gap_seconds", "Between a piece of an answer's text and the next.")
TTFB: Final = _spread(
    "time_to_first_byte_seconds", "From a sentence being handed to the voice to its first sound."
)
TTFA: Final = _spread(
    "time_to_first_audio_seconds", "From a turn's request to its first sound in the log.", "kind"
)
VOICE_TO_VOICE: Final = _spread(
    "voice_to_voice_seconds",
    "From the end of what was said to the first sound of the answer in the log.",
)
GAP: Final = _spread(
    "sentence_gap_seconds",
    "Silence between two sentences for a listener who buffers nothing; 0 where the next one was there.",
)
LATE_CHUNKS: Final = _counted("late_chunks", "Pieces inside a sentence that such a listener had to wait for.")
AHEAD: Final = _spread(
    "sentences_ahead",
    "Sentences begun beyond the one that is heard, as another one begins.",
    buckets=SENTENCES_AHEAD,
)
SYNTHESIS_RTF: Final = _spread(
    "synthesis_real_time_factor", "The voice's time for a sentence, per time of speech.", buckets=RATIOS
)
SENTENCES: Final = _counted("sentences", "Sentences of turns that are over.", "outcome")
SENTENCE_ERRORS: Final = _counted("sentence_errors", "Sentences that the voice could not speak.", "code")
SPOKEN: Final = _counted("spoken_seconds", "Speech that was made.", fractional=True)
CHARACTERS: Final = _counted("characters", "Characters of answers shown.")
TOKENS: Final = _counted("tokens", "Tokens of the language models.", "direction", "provider")
RETRIEVAL: Final = _spread("retrieval_seconds", "Looking something up before the model is asked.")
RETRIEVAL_ERRORS: Final = _counted("retrieval_errors", "Searches that failed, by code.", "code")
CALLS: Final = _counted("function_calls", "Functions that were called here.", "outcome")

# ---------------------------------------------------------------- of listeners and speakers, from the log

FIRST_SOUND: Final = _spread(
    "time_to_first_sound_seconds",
    "From a turn's request to its first sound out of a loudspeaker, by listeners who report.",
)
PLAYBACKS: Final = _counted("playbacks", "Reports of listeners that they are through with a turn.")
UNDERRUNS: Final = _counted("underruns", "How often a loudspeaker ran dry in the middle, by those reports.")
HEARD: Final = _counted("heard_seconds", "How much was heard, by those reports.", fractional=True)
RECOGNITION: Final = _spread(
    "recognition_delay_seconds", "From the last sound of an utterance to its text.", "mode"
)
RECOGNITION_RTF: Final = _spread(
    "recognition_real_time_factor",
    "The engine's time for a text, per time of speech.",
    "mode",
    buckets=RATIOS,
)
RECOGNITION_ERRORS: Final = _counted("recognition_errors", "Utterances without a text.", "mode", "code")
SESSIONS_STARTED: Final = _counted("sessions_started", "Sessions begun, copies included.", "kind")
SESSIONS_ENDED: Final = _counted("sessions_ended", "Sessions closed for good.", "reason")

# ---------------------------------------------------------------- of each process

APPEND: Final = Metric(
    *("rhapsode_log_append_seconds", "histogram", "One round trip of appends to the log."),
    *(("process",), QUICK, "process"),
)
DELIVERY: Final = Metric(
    *(
        "rhapsode_delivery_seconds",
        "histogram",
        "From an event's time to its arrival where somebody listens.",
    ),
    *(("process",), QUICK, "process"),
)
LOOP_LAG: Final = Metric(
    *("rhapsode_loop_lag_seconds", "histogram", "How much later than asked for the event loop woke up."),
    *(("process",), QUICK, "process"),
)
UNKNOWN_EVENTS: Final = _of_process(
    "log_unknown_events", "Events read since the start whose type or version a later program wrote."
)
OWNED: Final = _of_process("sessions_owned", "Sessions whose turns this process runs.")
RUNNING: Final = _of_process("turns_running", "Turns under way in this process.")
ROOM: Final = _of_process("turns_most", "Turns that this process takes at a time.")
LISTENERS: Final = _of_process("listeners", "Readers of sessions in this process, its own owners included.")
FOLLOWED: Final = _of_process("sessions_followed", "Sessions that somebody reads here.")
OUTBOX: Final = _of_process("outbox_sessions", "Writers with events that are not in the log yet.")
OUTBOX_BYTES: Final = _of_process("outbox_bytes", "Memory that those events take, roughly.")
MEMORY: Final = _of_process("memory_bytes", "Resident memory of the process.")
TASKS: Final = _of_process("tasks", "Tasks of the process's event loop.")
DISK_FREE: Final = _of_process("disk_free_bytes", "Free where the process keeps its files.")
DISK_SIZE: Final = _of_process("disk_size_bytes", "Size of that file system.")
BUILD_INFO: Final = _of_process("build_info", "1; its label says which version the process runs.", "version")

# ---------------------------------------------------------------- of the log server and of Serve

LOG_UP: Final = _of_server("log_up", "1: the log answers whoever was asked for this page.")
LOG_ANSWER: Final = _of_server("log_answer_seconds", "How long it took to answer.")
LOG_MEMORY: Final = _of_server("log_memory_bytes", "Memory that the log server uses.")
LOG_LIMIT: Final = _of_server("log_memory_limit_bytes", "Memory that it may use; 0: no limit.")
LOG_EVICTS: Final = _of_server(
    "log_evicts_events", "1: the log server's maxmemory-policy drops events that are nowhere else."
)
LOG_FORGETS: Final = _of_server(
    "log_not_durable", "1: the log server keeps no append-only file: its end loses all events."
)
LOG_COMMANDS: Final = Metric(
    "rhapsode_log_commands_total", "counter", "Commands that the log server has done.", source="server"
)
LIVE: Final = _of_server("sessions_live", "Sessions that are not closed.")
REPLICAS: Final = _of_server("replicas", "Replicas of Serve's deployments.", "deployment", "state")

# ---------------------------------------------------------------- of the workers

PROCESSES: Final = _of_server("workers_processes", "Worker processes that have shown life lately.")
LAG: Final = _of_server("workers_lag", "Events that an effect or a projection has not taken yet.", "reader")
PENDING: Final = _of_server("workers_pending", "Events that an effect works on, or will try again.", "reader")
OLDEST: Final = _of_server(
    "workers_oldest_pending_seconds", "How long ago the oldest of those was recorded.", "reader"
)
DEAD_LETTERS: Final = _of_server(
    "workers_dead_letters", "Events that an effect or a projection could not be done with.", "reader"
)
PARKED: Final = _of_server("workers_parked_sessions", "Sessions that a projection passes over.", "reader")
POINTERS: Final = _of_server("workers_pointers", "Pointers kept in the trigger streams.")
EVENTS_TODAY: Final = _of_server(
    "workers_facts_today", "Events of the types that workers see, recorded since midnight, UTC.", "type"
)

# ---------------------------------------------------------------- labels that are known beforehand


def _codes(base: type[RhapsodeError]) -> Iterator[str]:
    yield base.code
    for kind in base.__subclasses__():
        yield from _codes(kind)


_ENGINE: Final = tuple(sorted({*_codes(EngineError)}))
_KINDS: Final = ("prompt", "text")
_MODES: Final = get_args(Mode)
KNOWN: Final[Mapping[Metric, tuple[tuple[str, ...], ...]]] = {
    TURNS: tuple(product(_KINDS, ("typed", "spoken"), ("completed", "stopped", "failed"))),
    TURN_ERRORS: (
        *product(("text",), (*_ENGINE, "provider.unknown")),
        *product(("owner",), ("internal", "owner.lost")),
    ),
    TTFA: tuple(product(_KINDS)),
    SENTENCES: tuple(product(("completed", "failed", "skipped"))),
    SENTENCE_ERRORS: tuple(product(_ENGINE)),
    RETRIEVAL_ERRORS: tuple(product((RetrievalUnavailable.code, "retrieval.timeout"))),
    CALLS: tuple(product(("completed", "failed"))),
    RECOGNITION: tuple(product(_MODES)),
    RECOGNITION_ERRORS: tuple(product(_MODES, _ENGINE)),
    SESSIONS_STARTED: tuple(product(get_args(SessionKind))),
}
"""Series that are on the page with 0 before anything has happened.

Prometheus takes a rise only from two values of the same series: the first burst of a series that is born with
it would not be one. A code that is not listed is counted all the same, from its second burst on for alerts.
"""


def initial_labels(metric: Metric, process: str = "") -> tuple[tuple[str, ...], ...]:
    """Labels of the series that a metric has from the beginning, of `process` where it is a process's own."""
    if metric.kind == "gauge":
        return ()
    if metric.source == "process":
        return ((process,),)
    return KNOWN.get(metric, ()) if metric.labels else ((),)


ALL: Final[tuple[Metric, ...]] = tuple(value for value in globals().values() if isinstance(value, Metric))
BY_NAME: Final = {metric.name: metric for metric in ALL}
