"""The rows of the benchmark, how much of each is measured, and about how long that takes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

ROWS: Final[Mapping[str, str]] = {
    "a": "time to first audio at a client, beside the same engines called directly",
    "b": "a text delta, engine to client, beside the engine straight into a WebSocket",
    "c": "append and push beside a plain XADD; resume; stop",
    "d": "voice to voice, beside the same engines called directly (needs recordings: make system)",
    "e": "narrations at once until the first sound is 1.5 times as late, and what 200 of them give",
    "f": "memory of the gateways for a live session, beside a bare WebSocket, and as it gets longer",
    "g": "what grows with the number of sessions, and with the length of one",
    "h": "processor time for a minute of narration, beside the same engines called directly",
}


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """How much of each row."""

    pairs: int
    """a: of a client and the floor."""
    rounds: int
    """b: of ten streams each."""
    delta_s: int
    repeats: int
    """c: resumes and stops."""
    append_rounds: int
    turns: int
    """d: questions, after two that warm up."""
    narrations: tuple[int, ...]
    """e: steps of the climb."""
    step_s: float
    deltas: int
    """e: of a narration; eleven take a second."""
    held: int
    """f: sessions."""
    held_s: float
    """f: so long the first few go on."""
    sessions: tuple[int, ...]
    """g: at once."""
    windows: int
    window_s: float
    lengths: tuple[int, ...]
    length_rounds: int
    answers: int
    """h: narrations."""
    seconds: Mapping[str, int]
    """About, on two cores; with the start of the system that a row needs where it is the first on it."""


FULL: Final = BenchPlan(
    pairs=20,
    rounds=5,
    delta_s=8,
    repeats=40,
    append_rounds=15,
    turns=10,
    narrations=(1, 10, 25, 50, 100, 150, 200, 300),
    step_s=20.0,
    deltas=120,
    held=200,
    held_s=240.0,
    sessions=(1, 10, 100, 200),
    windows=5,
    window_s=8.0,
    lengths=(10, 100, 1_000, 10_000, 100_000),
    length_rounds=5,
    answers=8,
    seconds={"a": 120, "b": 110, "c": 40, "d": 110, "e": 270, "f": 310, "g": 430, "h": 90},
)
QUICK: Final = BenchPlan(
    pairs=6,
    rounds=3,
    delta_s=3,
    repeats=12,
    append_rounds=6,
    turns=3,
    narrations=(1, 50, 200),
    step_s=6.0,
    deltas=60,
    held=100,
    held_s=24.0,
    sessions=(1, 10, 100, 200),
    windows=3,
    window_s=4.0,
    lengths=(10, 1_000, 100_000),
    length_rounds=3,
    answers=3,
    seconds={"a": 45, "b": 40, "c": 15, "d": 35, "e": 60, "f": 50, "g": 160, "h": 20},
)


def expected_s(plan: BenchPlan, rows: Collection[str]) -> int:
    """About."""
    return sum(plan.seconds[row] for row in rows)
