"""Utterances as the log has them, so that two runs can be compared."""

from dataclasses import dataclass
from typing import Any

from tests.support.clients.native_speaker import Event, recording, silence

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


def of(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event["type"] == kind]


def said(events: list[Event]) -> list[Said]:
    finals = of(events, "transcript.final")
    return [Said(f["utterance"], f["text"], f["start_ms"], f["end_ms"]) for f in finals]


def numbers(events: list[Event], kind: str) -> list[int]:
    return [data["utterance"] for data in of(events, kind)]


def questions(events: list[Event]) -> list[str]:
    return [data["text"] for data in of(events, "turn.requested")]


def the_same(events: list[Event], without_cuts: list[Event]) -> None:
    """The same utterances and questions, each once."""
    before, after = said(without_cuts), said(events)
    assert len(after) == len(before), after
    assert all(one.near(other) for one, other in zip(after, before, strict=True)), (after, before)
    for kind in ("speech.started", "speech.discarded", "speech.ended"):
        assert numbers(events, kind) == numbers(without_cuts, kind)
    assert questions(events) == questions(without_cuts), (questions(events), questions(without_cuts))
    assert of(events, "transcript.failed") == []
    assert len(of(events, "input.closed")) == 1
