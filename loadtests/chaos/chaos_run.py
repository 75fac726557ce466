"""One chaos run: callers, faults, then the judge."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import anyio

from loadtests.chaos.consistency_check import ConsistencyFindings, ListenerRecord, judge
from loadtests.chaos.gateway_system import GatewaySystem
from loadtests.chaos.resuming_listeners import ChaosCallers, WaitedInVain, chaos_caller
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.open_log import open_log
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

Say = Callable[[str], None]
_WORDS: Final = (
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
)
_LONGEST_S: Final = 900.0
_OPENINGS: Final = frozenset({"turn.started", "turn.resumed"})
_PAGE: Final = 2_000
_OUTAGE_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """Faults and callers of a run."""

    people: int
    gateways: int
    owner_kills: int
    cuts: int
    log_kills: int = 0
    zombies: int = 0
    every_s: float = 2.0
    cut_after: int = 60
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """Result of a run, with the findings of the consistency check."""

    findings: ConsistencyFindings
    seconds: float
    turns: int
    owner_kills: int
    log_kills: int
    zombies: int
    cuts: int
    takeovers_ms: Sequence[float]
    """From a kill to the next words or sound of each turn that the dead process was running."""
    dark_takeovers_ms: Sequence[float]
    """The same where the log server was killed at about the same time."""
    resumes_ms: Sequence[float]


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


async def run(plan: ChaosPlan, home: Path, say: Say) -> ChaosReport:
    """Raises only if the system could not be started or somebody waited for a minute in vain."""
    dice, began = random.Random(plan.seed), monotonic()
    async with GatewaySystem(home, plan.gateways, script(plan.people), dice) as system:
        callers = ChaosCallers(system.url, dice, plan.cut_after)
        done = anyio.Event()

        def going_on() -> bool:
            return not done.is_set() or callers.cuts < plan.cuts

        try:
            with anyio.fail_after(_LONGEST_S):
                async with anyio.create_task_group() as everything:
                    for number in range(plan.people):
                        everything.start_soon(
                            chaos_caller, callers, f"person-{number}", answer_of(number), going_on
                        )
                    await _faults(plan, system, callers, say)
                    done.set()
        except* WaitedInVain as group:
            await _tell(system, group, say)
            raise
        say(f"{len(callers.asked)} turns heard; reading the log")
        log = open_log(system.settings.log, system.home)
        try:
            logs = {session: await all_events(log, session) for session in {w.session for w in callers.asked}}
        finally:
            await log.aclose()
        plain, dark = takeovers(logs, system.kills, system.log_kills)
        return ChaosReport(
            findings=judge(logs, callers.listeners, callers.asked),
            seconds=monotonic() - began,
            turns=len(callers.asked),
            owner_kills=len(system.kills) - system.zombies,
            log_kills=len(system.log_kills),
            zombies=system.zombies,
            cuts=callers.cuts,
            takeovers_ms=plain,
            dark_takeovers_ms=dark,
            resumes_ms=callers.resumes_ms,
        )


async def _tell(system: GatewaySystem, group: BaseExceptionGroup[WaitedInVain], say: Say) -> None:
    """Tell which events the log has that the waiting listeners lack: not delivered, or never written?"""
    log = open_log(system.settings.log, system.home)
    try:
        for one in _leaves(group):
            events = await all_events(log, one.listener.session)
            missed = [event for event in events if event.seq > one.listener.last]
            last = ", ".join(
                f"{event.seq} {event.type} at {event.ts_ms}" for event in (missed or events)[-5:]
            )
            say(f"{one}; the log has {len(missed)} more; its last: {last}")
    finally:
        await log.aclose()


def _leaves(group: BaseExceptionGroup[WaitedInVain]) -> Iterable[WaitedInVain]:
    for one in group.exceptions:
        if isinstance(one, WaitedInVain):
            yield one
        else:
            yield from _leaves(one)


async def _faults(plan: ChaosPlan, system: GatewaySystem, callers: ChaosCallers, say: Say) -> None:
    """Kill owners in mid-turn, with the other faults spread between them."""
    kinds = ["owner"] * plan.owner_kills + ["log"] * plan.log_kills + ["zombie"] * plan.zombies
    system.dice.shuffle(kinds)
    for number, kind in enumerate(kinds, 1):
        await anyio.sleep(plan.every_s * system.dice.uniform(0.5, 1.5))
        if kind == "log":
            system.kill_log()
        else:
            await system.ready()
            victim = await _an_owner(system, callers)
            if kind == "owner":
                system.kill_gateway(victim)
            else:
                await system.freeze_gateway(victim)
        say(f"fault {number} of {len(kinds)} ({kind}); {callers.cuts} cuts, {len(callers.asked)} turns")


async def _an_owner(system: GatewaySystem, callers: ChaosCallers) -> int:
    """The process that runs a turn somebody is listening to right now."""
    while True:
        listeners = list(callers.listeners)
        system.dice.shuffle(listeners)
        for listener in listeners:
            pid = running(listener)
            if pid is not None and system.owns(pid):
                return pid
        await anyio.sleep(0.05)


def running(listener: ListenerRecord) -> int | None:
    """The process that runs the turn which this listener hears; None between turns."""
    for event in reversed(listener.events):
        if event["type"] in TERMINAL:
            return None
        if event["type"] in _OPENINGS:
            return pid_of(event["data"]["node"])
    return None


def pid_of(node: str) -> int:
    return int(node.partition(".")[0])


async def all_events(log: EventLog, session: str) -> list[Recorded]:
    events: list[Recorded] = []
    while page := await log.read(
        SessionId(session), events[-1].seq if events else Seq(0), limit=_PAGE, audio=True
    ):
        events += page
    return events


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
    if latest is None or latest.type in TERMINAL or pid_of(latest.data["node"]) != pid:
        return None
    of_turn = [event for event in events[before:] if event.turn == latest.turn]
    resumed = next((n for n, f in enumerate(of_turn) if f.type == "turn.resumed"), len(of_turn))
    if resumed + 1 >= len(of_turn):
        return None
    return of_turn[resumed + 1].ts_ms - at_ms
