"""Parts that every chaos run shares: callers under faults, the log they are compared with, the report."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import anyio

from loadtests.chaos.consistency_check import ConsistencyFindings, ListenerRecord, judge
from loadtests.chaos.resuming_listeners import ChaosCallers, chaos_caller
from loadtests.report.tables import percentile
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.open_log import open_log
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.settings import AppSettings

_WORDS: Final = [
    "the",
    "keeper",
    "lit",
    "a",
    "lamp",
    "and",
    "saw",
    "how",
    "slowly",
    "the",
    "sea",
    "came",
    "in",
]
_OPENINGS: Final = frozenset({"turn.started", "turn.resumed"})
_PAGE: Final = 2_000
_OUTAGE_MS: Final = 1_000


def answer_of(number: int) -> str:
    """Answer of the model to this caller alone."""
    sentences = []
    for sentence in range(12):
        words = [_WORDS[(sentence * 7 + place * (number % 5 + 1)) % len(_WORDS)] for place in range(9)]
        sentences.append(f"In story {number} {' '.join(words)}.")
    return " ".join(sentences)


def script(people: int) -> dict[str, object]:
    answers = {f"person-{number}, ": answer_of(number) for number in range(people)}
    return {"reply_to": answers, "delta_chars": 9, "per_delta_ms": 35}


async def under_faults(
    callers: ChaosCallers,
    people: int,
    faults: Callable[[], Awaitable[None]],
    *,
    longest_s: float,
    cuts: int = 0,
) -> None:
    """Callers ask and listen until all faults have happened and `cuts` connections were cut.

    Raises WaitedInVain, in a group, where a listener waited for a minute in vain.
    """
    done = anyio.Event()

    def going_on() -> bool:
        return not done.is_set() or callers.cuts < cuts

    with anyio.fail_after(longest_s):
        async with anyio.create_task_group() as everything:
            for number in range(people):
                name, answer = f"person-{number}", answer_of(number)
                everything.start_soon(chaos_caller, callers, name, answer, going_on)
            await faults()
            done.set()


async def recorded(settings: AppSettings, sessions: Iterable[str]) -> dict[str, list[Recorded]]:
    """All events of these sessions, from the log."""
    log = open_log(settings.log, settings.home)
    try:
        return {session: await _all_events(log, session) for session in set(sessions)}
    finally:
        await log.aclose()


async def _all_events(log: EventLog, session: str) -> list[Recorded]:
    events: list[Recorded] = []
    while page := await log.read(
        SessionId(session), events[-1].seq if events else Seq(0), limit=_PAGE, audio=True
    ):
        events += page
    return events


async def judged(
    settings: AppSettings, callers: ChaosCallers
) -> tuple[ConsistencyFindings, dict[str, list[Recorded]]]:
    """Findings of a comparison of the listeners with the log; and the log."""
    logs = await recorded(settings, (turn.session for turn in callers.asked))
    return judge(logs, callers.listeners, callers.asked), logs


def running(listener: ListenerRecord) -> int | None:
    """The process that runs the turn which this listener hears; None between turns."""
    for event in reversed(listener.events):
        if event["type"] in TERMINAL:
            return None
        if event["type"] in _OPENINGS:
            return _pid_of(event["data"]["node"])
    return None


def _pid_of(node: str) -> int:
    return int(node.partition(".")[0])


def takeovers(
    logs: Mapping[str, Sequence[Recorded]], kills: Iterable[tuple[int, int]], outages: Sequence[int]
) -> tuple[list[float], list[float]]:
    """For each kill and each turn that died with it: until the turn went on, in milliseconds.

    First those while the log was there, then those in which it was killed too.
    """
    plain: list[float] = []
    with_outage: list[float] = []
    for at_ms, pid in kills:
        for events in logs.values():
            if (ms := _takeover(events, at_ms, pid)) is not None:
                dark = any(at_ms - _OUTAGE_MS <= outage <= at_ms + ms for outage in outages)
                (with_outage if dark else plain).append(ms)
    return plain, with_outage


def _takeover(events: Sequence[Recorded], at_ms: int, pid: int) -> float | None:
    """None where the process ran no turn of this session, or had just finished it."""
    before = sum(event.ts_ms <= at_ms for event in events)
    latest = next((f for f in reversed(events[:before]) if f.type in _OPENINGS or f.type in TERMINAL), None)
    if latest is None or latest.type in TERMINAL or _pid_of(latest.data["node"]) != pid:
        return None
    of_turn = [event for event in events[before:] if event.turn == latest.turn]
    resumed = next((n for n, f in enumerate(of_turn) if f.type == "turn.resumed"), len(of_turn))
    if resumed + 1 >= len(of_turn):
        return None
    return of_turn[resumed + 1].ts_ms - at_ms


def summary(found: ConsistencyFindings, *figures: str, times: Sequence[str] = ()) -> str:
    """The figures of a run, what was lost, how long things took, and everything that was wrong."""
    counts = (
        f"lost {len(found.lost)}, doubled {len(found.doubled)}, disordered {len(found.disordered)},"
        f" otherwise wrong {len(found.wrong)}"
    )
    wrong = [*found.lost, *found.doubled, *found.disordered, *found.wrong]
    return "\n".join(["", *figures, counts, *times, *(f"  ! {line}" for line in wrong[:40])])


def spread_line(name: str, series: Sequence[float], unit: str = "ms", digits: int = 0) -> str:
    if not series:
        return f"{name}: none"
    middle, high, worst = (
        f"{value:.{digits}f} {unit}"
        for value in (percentile(series, 0.5), percentile(series, 0.95), max(series))
    )
    return f"{name}: p50 {middle}, p95 {high}, worst {worst} (n {len(series)})"
