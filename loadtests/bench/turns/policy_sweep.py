"""eot-bench's policy sweep: thresholds and waits, judged by turns that were cut off and by dead air. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtests.bench.turns.hesitant_speech import Pause

Numbers = NDArray[np.float64]
_SHRINKING: Final = 1.0
"""L2 penalty on the coefficients of standardised signs."""
_STEPS: Final = 60
_LEAST: Final = 0.001


def logit(probability: float) -> float:
    likely = min(max(probability, _LEAST), 1 - _LEAST)
    return float(np.log(likely / (1 - likely)))


def fitted(signs: Numbers, over: Numbers) -> Numbers:
    """Coefficients of the signs (columns), and last the bias; by Newton's method."""
    mean, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-9
    known = np.c_[(signs - mean) / spread, np.ones(len(signs))]
    penalty = np.eye(known.shape[1]) * _SHRINKING
    penalty[-1, -1] = 1e-6
    weights = np.zeros(known.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-known @ weights))
        slope = known.T @ (likely - over) + penalty @ weights
        weights -= np.linalg.solve((known.T * (likely * (1 - likely))) @ known + penalty, slope)
    scaled = weights[:-1] / spread
    return np.append(scaled, weights[-1] - scaled @ mean)


def likelihood(signs: Numbers, weights: Numbers) -> Numbers:
    """Probability for each row, by coefficients of `fitted`."""
    likely: Numbers = 1 / (1 + np.exp(-(signs @ weights[:-1] + weights[-1])))
    return likely


def left_out(signs: Numbers, over: Numbers, groups: Sequence[str]) -> Numbers:
    """Probability for each row, by the model that was fitted to the rows of all other groups."""
    likely, names = np.zeros(len(signs)), np.array(groups)
    for name in sorted(set(groups)):
        own = names == name
        likely[own] = likelihood(signs[own], fitted(signs[~own], over[~own]))
    return likely


WAITS_MS: Final = (*range(100, 1_001, 100), 1_200, 1_400, 1_600, 1_800, 2_000, 2_500, 3_000)
"""Silences that a policy may wait for."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a silence ends the turn: by what the detector says, complete, unclear or incomplete."""

    complete_ms: int
    unclear_ms: int
    incomplete_ms: int
    threshold: float | None = None

    def __str__(self) -> str:
        waits = dict.fromkeys((self.complete_ms, self.unclear_ms, self.incomplete_ms))
        threshold = "" if self.threshold is None else f", threshold {self.threshold:g}"
        return " / ".join(str(ms) for ms in waits) + f" ms{threshold}"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One policy on all turns."""

    policy: Policy
    false_cutoffs: float
    """Share of the pauses within turns that end the turn."""
    dead_air_ms: float
    """Mean silence between the end of a turn and the decision that it is over."""


Verdicts = Sequence[str | None]
"""For each pause "complete", "doubtful" or "incomplete", which wait alike here, or None."""


def judged(pauses: Sequence[Pause], verdicts: Verdicts, policy: Policy) -> OperatingPoint:
    """The policy's figures. Raises ZeroDivisionError without pauses of both kinds."""
    longest = policy.incomplete_ms
    known = {"complete": policy.complete_ms, "doubtful": longest, "incomplete": longest}
    waits = [known.get(verdict or "", policy.unclear_ms) for verdict in verdicts]
    cut = [wait < pause.ms for wait, pause in zip(waits, pauses, strict=True) if not pause.final]
    silent = [wait for wait, pause in zip(waits, pauses, strict=True) if pause.final]
    return OperatingPoint(policy, sum(cut) / len(cut), sum(silent) / len(silent))


def sweep(
    pauses: Sequence[Pause], verdicts: Verdicts, *, from_ms: int, threshold: float | None = None
) -> list[OperatingPoint]:
    """Every policy whose verdicts need nothing that is known later than after `from_ms` of silence."""
    possible = [ms for ms in WAITS_MS if ms >= from_ms]
    kinds = 3 if None in verdicts else 2
    if not any(verdicts):
        kinds = 1
    found = []
    for waits in combinations_with_replacement(possible, kinds):
        policy = Policy(waits[0], waits[kinds // 2], waits[-1], threshold)
        found.append(judged(pauses, verdicts, policy))
    return found


def fewest_cutoffs(points: Iterable[OperatingPoint], dead_air_ms: float) -> OperatingPoint | None:
    """The best with at most so much dead air; None: there is none."""
    allowed = (point for point in points if point.dead_air_ms <= dead_air_ms)
    return min(allowed, key=lambda point: (point.false_cutoffs, point.dead_air_ms), default=None)


def least_dead_air(points: Iterable[OperatingPoint], cutoffs: float) -> OperatingPoint | None:
    """The best with at most so many cut-offs; None: there is none."""
    allowed = (point for point in points if point.false_cutoffs <= cutoffs)
    return min(allowed, key=lambda point: (point.dead_air_ms, point.false_cutoffs), default=None)
