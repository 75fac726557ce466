"""Compares what listeners received with the log after a chaos run. Pure, no I/O.

The questions are those of a database test: is the set of acknowledged appends in the log, each once, in one
order that every reader saw (append-set and order, as Jepsen's checkers ask).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from schemas.events import TERMINAL
from schemas.events.recorded import Recorded

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
    for before, seq in zip([0, *seqs], seqs, strict=False):
        if seq > before + 1:
            findings.lost.append(f"{name}: {before + 1}..{seq - 1} missing")
        elif seq == before:
            findings.doubled.append(f"{name}: {seq}")
        elif seq < before:
            findings.disordered.append(f"{name}: {seq} after {before}")


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
