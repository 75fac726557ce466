"""Input of a simulation: callers, costs of their turns, and the machines that do the work."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True)
class RateCurve:
    """A quantity by the number of jobs: straight between the points, and on in the last direction."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def flat(cls, value: float) -> "RateCurve":
        return cls(((1.0, value),))

    @classmethod
    def of(cls, values: Mapping[str, float], by: float = 1.0) -> "RateCurve":
        """Of a table as in docs/costs.json."""
        return cls(tuple(sorted((float(number), value * by) for number, value in values.items())))

    def __call__(self, jobs: float) -> float:
        points = self.points
        if len(points) == 1 or jobs <= points[0][0]:
            return points[0][1]
        right = min(bisect_left(points, (jobs, -inf)), len(points) - 1)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return max(0.0, y0 + (y1 - y0) * (jobs - x0) / (x1 - x0))


@dataclass(frozen=True, slots=True)
class WorkStage:
    """Replicas that do one kind of work. A unit of it: a token, a second of sound, a processor second."""

    host: str
    replicas: int
    unit_s: RateCurve
    """How long a unit takes each of so many jobs that are worked on together."""
    claim: RateCurve
    """Capacity of the host that so many jobs use at full speed."""
    places: float = inf
    """Jobs that one replica works on together; more wait."""


@dataclass(frozen=True, slots=True)
class MachineKind:
    """Of one kind."""

    count: int
    capacity: float
    """Cores, or 1 for a card."""


@dataclass(frozen=True, slots=True)
class CallerModel:
    """Cycle of a caller: ask, listen to the end, think. Means; each turn differs."""

    tokens: float
    """Of an answer."""
    question_s: float = 0.0
    """How long a spoken question is; 0: it is typed."""
    silence_s: float = 0.0
    """That is waited for after it."""
    think_s: float = 0.0
    speak: bool = True
    vary: bool = True
    """Lengths differ by half, thinking is as unequal as waiting times are; False: everything is its mean."""


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """How text becomes sound."""

    tokens_per_s: float
    """Of the text that a second of sound says."""
    first_tokens: float
    """Of the first fragment."""
    sentence_tokens: float
    chunks_s: tuple[float, ...] = (0.24, 0.46, 0.92, 1.38)
    """Sound of the first chunks of a sentence; all later ones are as the last."""
    first_units: float = 0.0
    """Work before a sentence's first chunk, in seconds of sound, beside that of the chunk."""
    ahead: int = 2
    """Sentences in synthesis beyond the one that is being recorded."""


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """Everything that a simulation needs to know."""

    people: CallerModel
    speech: SpeechModel
    around: Mapping[str, Any]
    """Costs around the models as docs/costs.json has them: processor seconds by role and part."""
    hosts: Mapping[str, MachineKind]
    stages: Mapping[str, WorkStage]
    """gateway, log, replicas (what surrounds the models in their processes), stt, llm, tts."""
    prefill_units: float
    """Work before an answer's first token, in tokens."""
    deltas_per_token: float = 1.0

    @property
    def hops_s(self) -> float:
        """Waiting on the way from a question to its first words that is nobody's work: polls, wake-ups."""
        gateway, log = self.around["gateway"], self.around["log"]
        worked = gateway["turn"] + gateway["delta"] + log["turn"]
        return max(0.0, float(self.around["first_words_s"]) - worked)
