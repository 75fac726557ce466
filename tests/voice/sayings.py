"""What was said, as the log has it, so that two runs can be compared."""

from dataclasses import dataclass
from typing import Any

from tests.voice.callers import Fact, recording, silence

NEAR_MS = 130
"""Two who hear the same sound from different beginnings need not agree about every frame."""
TEXTS = {1_650: "One.", 2_800: "Two.", 60_000: "Three."}
"""Texts by the length of the utterance, which a new beginning hardly changes."""


def three_sentences() -> bytes:
    """Three utterances; `TEXTS` calls them One, Three, Two."""
    cards = [recording(f"cards/{name}.wav") for name in ("001", "005", "002")]
    return silence(500) + b"".join(card + silence(1_300) for card in cards)


@dataclass(frozen=True)
class Said:
    utterance: int
    text: str
    start_ms: int
    end_ms: int

    def near(self, other: "Said") -> bool:
        apart = max(abs(self.start_ms - other.start_ms), abs(self.end_ms - other.end_ms))
        return (self.utterance, self.text) == (other.utterance, other.text) and apart <= NEAR_MS


def of(facts: list[Fact], kind: str) -> list[dict[str, Any]]:
    return [fact["data"] for fact in facts if fact["type"] == kind]


def said(facts: list[Fact]) -> list[Said]:
    finals = of(facts, "transcript.final")
    return [Said(f["utterance"], f["text"], f["start_ms"], f["end_ms"]) for f in finals]


def numbers(facts: list[Fact], kind: str) -> list[int]:
    return [data["utterance"] for data in of(facts, kind)]


def questions(facts: list[Fact]) -> list[str]:
    return [data["text"] for data in of(facts, "turn.requested")]


def the_same(facts: list[Fact], without_cuts: list[Fact]) -> None:
    """The same utterances and questions, each once."""
    before, after = said(without_cuts), said(facts)
    assert len(after) == len(before), after
    assert all(one.near(other) for one, other in zip(after, before, strict=True)), (after, before)
    for kind in ("speech.started", "speech.discarded", "speech.ended"):
        assert numbers(facts, kind) == numbers(without_cuts, kind)
    assert questions(facts) == questions(without_cuts), (questions(facts), questions(without_cuts))
    assert of(facts, "transcript.failed") == []
    assert len(of(facts, "input.closed")) == 1
