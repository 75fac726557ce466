"""Parts that every chaos run shares: callers under faults, the log they are compared with, the report."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx
from websockets.exceptions import WebSocketException

from loadtests.chaos.consistency_check import AcceptedTurn, ConsistencyFindings, ListenerRecord, judge
from loadtests.client.api_connection import ApiConnection, EventSocket
from loadtests.report.tables import percentile
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.open_log import open_log
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.settings import AppSettings

_RETRY_S: Final = 0.05
_PATIENCE_S: Final = 60.0


class WaitedInVain(TimeoutError):
    """A listener waited for a minute in vain."""

    def __init__(self, listener: ListenerRecord, turn: int, audio: str) -> None:
        super().__init__(f"turn {turn} of {listener.session} ({audio}): nothing after {listener.last}")
        self.listener = listener


@dataclass
class ChaosCallers:
    """All callers of a run, and what they have noted."""

    url: str
    dice: random.Random
    cut_after: int
    """Frames that a connection lives at most."""
    listeners: list[ListenerRecord] = field(default_factory=list)
    asked: list[AcceptedTurn] = field(default_factory=list)
    cuts: int = 0
    refused: int = 0
    resumes_ms: list[float] = field(default_factory=list)
    """From the handshake to the first event that was missed, where one was."""

    def __post_init__(self) -> None:
        self.connection = ApiConnection(self.url, open_s=5)

    def listener(self, session: str, *, wants_audio: bool) -> ListenerRecord:
        """The one who listened to this session before, or a new one."""
        for known in self.listeners:
            if (known.session, known.wants_audio) == (session, wants_audio):
                return known
        self.listeners.append(ListenerRecord(session, wants_audio=wants_audio))
        return self.listeners[-1]


async def until_accepted(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], key: str
) -> dict[str, Any]:
    """POST until somebody answers; the key makes that one request."""
    with anyio.fail_after(_PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                answer = await http.post(path, json=body, headers={"Idempotency-Key": key})
                if answer.is_success:
                    made: dict[str, Any] = answer.json()
                    return made
                if answer.status_code not in (429, 503):
                    raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
            await anyio.sleep(_RETRY_S)


async def chaos_caller(callers: ChaosCallers, name: str, answer: str, going_on: Callable[[], bool]) -> None:
    """Ask for one answer after the other, in a session of one's own, and have two others listen in."""
    async with httpx.AsyncClient(base_url=callers.url, timeout=10) as http:
        session = str((await until_accepted(http, "/v1/sessions", {}, f"{name}/new"))["session_id"])
        number = 0
        while going_on():
            number += 1
            body = {"prompt": f"{name}, please: number {number}"}
            path = f"/v1/sessions/{session}/turns"
            accepted = await until_accepted(http, path, body, f"{name}/{number}")
            turn = int(accepted["turn"])
            callers.asked.append(AcceptedTurn(session, turn, f"{name}/{number}", answer))
            async with anyio.create_task_group() as listeners:
                for audio in ("opus", "none"):
                    listeners.start_soon(_hear, callers, session, turn, audio)


async def _hear(callers: ChaosCallers, session: str, turn: int, audio: str) -> None:
    """Hear the turn to its end over connections that are cut, by us or by whoever dies."""
    listener = callers.listener(session, wants_audio=audio == "opus")
    with anyio.move_on_after(_PATIENCE_S) as patience:
        while not _over(listener, turn):
            with suppress(WebSocketException):
                await _connection(callers, listener, turn, audio)
            await anyio.lowlevel.checkpoint()
    if patience.cancelled_caught:
        raise WaitedInVain(listener, turn, audio)


def _over(listener: ListenerRecord, turn: int) -> bool:
    return any(event["turn"] == turn and event["type"] in TERMINAL for event in listener.events[-64:])


async def _connection(callers: ChaosCallers, listener: ListenerRecord, turn: int, audio: str) -> None:
    lifetime = callers.dice.randint(3, callers.cut_after)
    began, missed = monotonic(), False
    try:
        socket = await callers.connection.connect(listener.session, after=str(listener.last), audio=audio)
    except RuntimeError:
        callers.refused += 1
        await anyio.sleep(_RETRY_S)
        return
    try:
        async for frame in EventSocket(socket).frames():
            event = frame.event
            if event["type"] == "hello":
                missed = event["head_seq"] > listener.last
            if "data" in event:
                if missed:
                    callers.resumes_ms.append((monotonic() - began) * 1_000)
                    missed = False
                listener.events.append(event)
                listener.heard_at.append(frame.at_s)
                if frame.sound:
                    listener.audio[event["seq"]] = frame.sound
            lifetime -= 1
            if _over(listener, turn):
                return
            if lifetime <= 0:
                callers.cuts += 1
                return
    finally:
        socket.transport.abort()


_WORDS: Final = (
    *("the", "keeper", "lit", "a", "lamp", "and", "saw", "how"),
    *("slowly", "the", "sea", "came", "in"),
)
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
