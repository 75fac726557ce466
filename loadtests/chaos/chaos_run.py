"""Parts that every chaos run shares: callers under faults, and what they received compared with the log."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx
from websockets.exceptions import WebSocketException

from loadtests.client import oracles
from loadtests.client.api_connection import ApiConnection, EventSocket
from loadtests.report.tables import percentile
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.open_log import open_log
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.settings import AppSettings

Event = dict[str, Any]


@dataclass
class ListenerRecord:
    """Events that one listener received, over any number of connections."""

    session: str
    events: list[Event] = field(default_factory=list)
    audio: dict[int, bytes] = field(default_factory=dict)
    wants_audio: bool = False
    heard_at: list[float] = field(default_factory=list)
    """When each of the events came, on a clock of this process."""

    @property
    def last(self) -> int:
        return self.events[-1]["seq"] if self.events else 0


@dataclass
class ConsistencyFindings:
    """Faults in words; empty where there were none."""

    events: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.wrong)


@dataclass(frozen=True, slots=True)
class AcceptedTurn:
    """A turn whose acceptance a client has seen, and the text it must have."""

    session: str
    turn: int
    key: str
    answer: str


def judge(
    logs: Mapping[str, Sequence[Recorded]], listeners: Iterable[ListenerRecord], asked: Iterable[AcceptedTurn]
) -> ConsistencyFindings:
    """Compare everything with everything."""
    findings = ConsistencyFindings(events=sum(map(len, logs.values())))
    for session, log_events in logs.items():
        _gaps(session, [event.seq for event in log_events], findings)
    for listener in listeners:
        _compare(listener, logs[listener.session], findings)
    for wish in asked:
        _turn(wish, [event for event in logs[wish.session] if event.turn == wish.turn], findings)
    for session, log_events in logs.items():
        _requests(session, log_events, [wish for wish in asked if wish.session == session], findings)
    return findings


def _gaps(name: str, seqs: Sequence[int], findings: ConsistencyFindings) -> None:
    for found in oracles.order(seqs):
        getattr(findings, found.kind).append(f"{name}: {found.words}")


def _compare(listener: ListenerRecord, log: Sequence[Recorded], findings: ConsistencyFindings) -> None:
    """Each event as it is in the log, all up to where the listener left, in order, with its audio."""
    name = f"a listener of {listener.session}"
    _gaps(name, [event["seq"] for event in listener.events], findings)
    by_seq = {event.seq: event for event in log}
    for event in listener.events:
        recorded = by_seq.get(event["seq"])
        if recorded is None:
            findings.wrong.append(f"{name} heard {event['seq']}, which is not in the log")
        elif recorded.to_dict() != event:
            findings.wrong.append(f"{name} heard another {event['seq']} than is in the log")
        elif listener.wants_audio and (recorded.audio or b"") != listener.audio.get(event["seq"], b""):
            findings.wrong.append(f"{name} heard other audio at {event['seq']}")


def _requests(
    session: str, log: Sequence[Recorded], asked: Sequence[AcceptedTurn], findings: ConsistencyFindings
) -> None:
    """Each wish is in the log once, however often it was sent."""
    there = [event.seq for event in log if event.type == "turn.requested"]
    for turn in {wish.turn for wish in asked} - set(there):
        findings.lost.append(f"{session}: the accepted turn {turn}")
    for text, times in Counter(f.data["text"] for f in log if f.type == "turn.requested").items():
        if times > 1:
            findings.doubled.append(f"{session}: {text!r} was requested {times} times")


def _turn(wish: AcceptedTurn, log_events: Sequence[Recorded], findings: ConsistencyFindings) -> None:
    """The whole answer, its sentences and their audio without a seam, and one end."""
    name = f"turn {wish.turn} of {wish.session}"
    ends = [event.type for event in log_events if event.type in TERMINAL]
    if ends != ["turn.completed"]:
        findings.wrong.append(f"{name} ended {ends}")
    said, at = "", 0
    for event in log_events:
        if event.type == "text.delta":
            if event.data["at"] != len(said):
                kind = findings.doubled if event.data["at"] < len(said) else findings.lost
                kind.append(f"{name}: text at {event.data['at']} after {len(said)} characters")
            said += event.data["text"]
        elif event.type == "audio.chunk":
            if event.data["at_ms"] != at:
                kind = findings.doubled if event.data["at_ms"] < at else findings.lost
                kind.append(f"{name}: audio at {event.data['at_ms']} after {at} ms")
            at = event.data["at_ms"] + event.data["ms"]
    if said != wish.answer:
        findings.wrong.append(f"{name}: another answer than the model gave ({len(said)} characters)")
    _sentences(name, log_events, findings)


def _sentences(name: str, log_events: Sequence[Recorded], findings: ConsistencyFindings) -> None:
    ready = [event.data for event in log_events if event.type == "sentence.ready"]
    _gaps(f"{name}: sentences", [data["sentence"] + 1 for data in ready], findings)
    if any(before["end"] != data["start"] for before, data in pairwise(ready)):
        findings.wrong.append(f"{name}: its sentences do not tile its text")
    done = Counter(event.data["sentence"] for event in log_events if event.type == "sentence.completed")
    for data in ready:
        if data["spoken"] and done[data["sentence"]] != 1:
            kind = findings.doubled if done[data["sentence"]] else findings.lost
            kind.append(f"{name}: sentence {data['sentence']} completed {done[data['sentence']]} times")


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
            last = listener.last
            with suppress(WebSocketException):
                await _connection(callers, listener, turn, audio)
            if listener.last > last:
                patience.deadline = anyio.current_time() + _PATIENCE_S
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
