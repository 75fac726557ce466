"""Was it right? Judged from what one client saw, and from the log as it is read at the end. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.client.received_events import STALL_MS, ReceivedEvents, ReceivedTurn

GAPS: Final = "gaps"
CUT_TAILS: Final = "cut_tails"
CROSS_TALK: Final = "cross_talk"
LOST: Final = "lost"
DOUBLED: Final = "doubled"
DISORDERED: Final = "disordered"
DIFFERING: Final = "differing"
KINDS: Final = {
    GAPS: "a loudspeaker ran dry in the middle of an answer",
    CUT_TAILS: "a sentence or an answer had less sound than its events say",
    CROSS_TALK: "a session had words that belong to somebody else",
    LOST: "an event was never delivered",
    DOUBLED: "an event was delivered twice",
    DISORDERED: "an event came before an earlier one",
    DIFFERING: "an event was not what the log says when it is read again",
}
"""Every kind of fault, and what it means."""
NEVER: Final = (CUT_TAILS, CROSS_TALK, LOST, DOUBLED, DISORDERED, DIFFERING)
"""None of these may happen, however many callers there are. Callers that overload a system do hear gaps."""


@dataclass(frozen=True, slots=True)
class OracleFinding:
    """One fault, in words."""

    kind: str
    words: str


def judge(notes: ReceivedEvents) -> list[OracleFinding]:
    """All that can be said without the log."""
    return [*order(notes.seqs), *cross_talk(notes), *gaps(notes), *cut_tails(notes)]


def order(seqs: Sequence[int]) -> Iterator[OracleFinding]:
    """From 1 on, each event once, each after the one before; told by stretches, not by events."""
    expected = 1
    seen: set[int] | None = None
    for at, seq in enumerate(seqs):
        if seq == expected:
            expected += 1
            continue
        seen = set(seqs[:at]) if seen is None else seen
        if seq > expected:
            missing = set(range(expected, seq)) - set(seqs[at:])
            if missing:
                yield OracleFinding(LOST, f"{len(missing)} of {expected}..{seq - 1}")
            expected = seq + 1
        elif seq in seen:
            yield OracleFinding(DOUBLED, f"{seq} came again after {seqs[at - 1]}")
        else:
            yield OracleFinding(DISORDERED, f"{seq} came after {seqs[at - 1]}")
        seen.add(seq)


def cross_talk(notes: ReceivedEvents) -> Iterator[OracleFinding]:
    for stranger in sorted(notes.foreign):
        yield OracleFinding(CROSS_TALK, f"{stranger} turned up in the session of {notes.mark}")


def gaps(notes: ReceivedEvents) -> Iterator[OracleFinding]:
    """Silences that a listener with an ordinary player has heard."""
    for name, turn in notes.turns.items():
        if waits := audible(notes, turn):
            yield OracleFinding(GAPS, f"turn {name}: {len(waits)}, the longest {max(waits):.0f} ms")


def audible(notes: ReceivedEvents, turn: ReceivedTurn) -> list[float]:
    if turn.disturbed or not (notes.hears and notes.punctual):
        return []
    return [wait for wait in turn.answer.waits_ms if wait > STALL_MS]


def cut_tails(notes: ReceivedEvents) -> Iterator[OracleFinding]:
    """Of what is told to be whole: a sentence that is completed, an answer that is."""
    for name, turn in notes.turns.items():
        for number, sentence in turn.sentences.items():
            if sentence.told_ms is not None and sentence.heard_ms < sentence.told_ms:
                said = f"{sentence.heard_ms} of {sentence.told_ms} ms"
                yield OracleFinding(CUT_TAILS, f"turn {name}, sentence {number}: {said}")
        heard_ms = sum(sentence.heard_ms for sentence in turn.sentences.values())
        whole = all(sentence.told_ms is not None for sentence in turn.sentences.values())
        if whole and turn.told_ms is not None and heard_ms < turn.told_ms:
            yield OracleFinding(CUT_TAILS, f"turn {name}: {heard_ms} of {turn.told_ms} ms of all its sound")


def against_log(notes: ReceivedEvents, log: Mapping[int, int]) -> Iterator[OracleFinding]:
    """`log`: number and checksum of every event, read again when it was all over.

    `order` finds what the listener lacks; events of the log beyond the listener's last one do not count.
    """
    delivered = dict(zip(notes.seqs, notes.prints, strict=True))
    invented = [seq for seq in delivered if seq not in log]
    other = [seq for seq, print_ in delivered.items() if log.get(seq, print_) != print_]
    if invented:
        yield OracleFinding(DIFFERING, f"{_first(invented)}: not in the log")
    if other:
        yield OracleFinding(DIFFERING, f"{_first(other)}: otherwise in the log")


def _first(numbers: Sequence[int]) -> str:
    shown = "fact " + ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
