"""Was it right? Judged from what one client saw, and from the log as it is read at the end. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.crowd import STALL_MS
from loadtests.load.notes import Notes, Turn

GAPS: Final = "gaps"
CUT_TAILS: Final = "cut_tails"
CROSS_TALK: Final = "cross_talk"
LOST: Final = "lost"
DOUBLED: Final = "doubled"
DISORDERED: Final = "disordered"
DIFFERING: Final = "differing"
KINDS: Final = {
    GAPS: "a loudspeaker ran dry in the middle of an answer",
    CUT_TAILS: "a sentence or an answer had less sound than its facts say",
    CROSS_TALK: "a session had words that belong to somebody else",
    LOST: "a fact was never delivered",
    DOUBLED: "a fact was delivered twice",
    DISORDERED: "a fact came before an earlier one",
    DIFFERING: "a fact was not what the log says when it is read again",
}
"""Every kind of fault, and what it means."""
NEVER: Final = (CUT_TAILS, CROSS_TALK, LOST, DOUBLED, DISORDERED, DIFFERING)
"""None of these may happen, however many people there are. Whoever overloads a system does hear gaps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, in words."""

    kind: str
    words: str


def judge(notes: Notes) -> list[Finding]:
    """All that can be said without the log."""
    return [*order(notes.seqs), *cross_talk(notes), *gaps(notes), *cut_tails(notes)]


def order(seqs: Sequence[int]) -> Iterator[Finding]:
    """From 1 on, each fact once, each after the one before; told by stretches, not by facts."""
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
                yield Finding(LOST, f"{len(missing)} of {expected}..{seq - 1}")
            expected = seq + 1
        elif seq in seen:
            yield Finding(DOUBLED, f"{seq} came again after {seqs[at - 1]}")
        else:
            yield Finding(DISORDERED, f"{seq} came after {seqs[at - 1]}")
        seen.add(seq)


def cross_talk(notes: Notes) -> Iterator[Finding]:
    for stranger in sorted(notes.foreign):
        yield Finding(CROSS_TALK, f"{stranger} turned up in the session of {notes.mark}")


def gaps(notes: Notes) -> Iterator[Finding]:
    """Silences that a listener with an ordinary loudspeaker has heard."""
    for name, turn in notes.turns.items():
        if waits := audible(notes, turn):
            yield Finding(GAPS, f"turn {name}: {len(waits)}, the longest {max(waits):.0f} ms")


def audible(notes: Notes, turn: Turn) -> list[float]:
    if turn.disturbed or not (notes.hears and notes.punctual):
        return []
    return [wait for wait in turn.answer.waits_ms if wait > STALL_MS]


def cut_tails(notes: Notes) -> Iterator[Finding]:
    """Of what is told to be whole: a sentence that is completed, an answer that is."""
    for name, turn in notes.turns.items():
        for number, sentence in turn.sentences.items():
            if sentence.told_ms is not None and sentence.heard_ms < sentence.told_ms:
                said = f"{sentence.heard_ms} of {sentence.told_ms} ms"
                yield Finding(CUT_TAILS, f"turn {name}, sentence {number}: {said}")
        heard_ms = sum(sentence.heard_ms for sentence in turn.sentences.values())
        whole = all(sentence.told_ms is not None for sentence in turn.sentences.values())
        if whole and turn.told_ms is not None and heard_ms < turn.told_ms:
            yield Finding(CUT_TAILS, f"turn {name}: {heard_ms} of {turn.told_ms} ms of all its sound")


def against_log(notes: Notes, log: Mapping[int, int]) -> Iterator[Finding]:
    """`log`: number and checksum of every fact, read again when it was all over.

    What the listener lacks is `order`'s affair; what the log has beyond his last fact was never owed to him.
    """
    delivered = dict(zip(notes.seqs, notes.prints, strict=True))
    invented = [seq for seq in delivered if seq not in log]
    other = [seq for seq, print_ in delivered.items() if log.get(seq, print_) != print_]
    if invented:
        yield Finding(DIFFERING, f"{_first(invented)}: not in the log")
    if other:
        yield Finding(DIFFERING, f"{_first(other)}: otherwise in the log")


def _first(numbers: Sequence[int]) -> str:
    shown = "fact " + ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
