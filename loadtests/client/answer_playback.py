"""One answer as its listener had it, and a player that plays it. Pure: calls carry the time."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.events import TERMINAL

STALL_MS: Final = 20.0
"""A shorter wait for the next chunk is not heard: a page holds a little more than that back."""


@dataclass(slots=True)
class ReceivedAnswer:
    """One answer as its listener had it. Milliseconds from the question on."""

    ttft_ms: float | None = None
    ttfa_ms: float | None = None
    whole_ms: float = 0.0
    sound_ms: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    """For how long the player had nothing to play, each time."""
    events: Counter[str] = field(default_factory=Counter)
    sound_bytes: int = 0
    characters: int = 0
    tokens: int = 0
    ended: str = ""

    @property
    def stalled(self) -> bool:
        return any(wait > STALL_MS for wait in self.waits_ms)


class AnswerPlayback:
    """Takes an answer's frames as they come, and plays its chunks. Pure: every call says what time it is."""

    def __init__(self, asked_s: float) -> None:
        self.answer = ReceivedAnswer()
        self._asked_s = asked_s
        self._plays_until_s: float | None = None

    def take(self, kind: str, data: Mapping[str, Any], now_s: float, *, sound_bytes: int = 0) -> None:
        answer, since_ms = self.answer, (now_s - self._asked_s) * 1_000
        answer.events[kind] += 1
        match kind:
            case "text.delta":
                answer.characters += len(data["text"])
                answer.ttft_ms = since_ms if answer.ttft_ms is None else answer.ttft_ms
            case "text.completed":
                answer.tokens += data["tokens_out"]
            case "audio.chunk":
                answer.ttfa_ms = since_ms if answer.ttfa_ms is None else answer.ttfa_ms
                answer.sound_bytes += sound_bytes
                self._play(data["ms"], now_s)
            case kind if kind in TERMINAL:
                answer.ended, answer.whole_ms = kind, since_ms

    def _play(self, ms: float, now_s: float) -> None:
        due = self._plays_until_s
        if due is not None and now_s > due:
            self.answer.waits_ms.append((now_s - due) * 1_000)
        self._plays_until_s = (now_s if due is None else max(due, now_s)) + ms / 1_000
        self.answer.sound_ms += ms

    def remaining_s(self, now_s: float) -> float:
        """Of what came, so much has not been heard yet."""
        return max(0.0, (self._plays_until_s or now_s) - now_s)
