"""Is a ratio worse than those before it by more than its noise? Pure arithmetic; see docs/benchmarks.md."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

SIGMAS: Final = 3.0
LEAST: Final = 0.05
"""No change below 5 % is called worse, however still the machine was."""
UNSEEN: Final = 0.10
"""Instead of it, while there are fewer than three runs: nobody knows yet how much runs differ."""
ENOUGH: Final = 3
_MAD: Final = 1.4826
"""Of a normal distribution: standard deviations in a median absolute deviation."""
_MEDIAN: Final = math.pi / 2
"""The variance of a median by that of a mean."""


class NoiseFound(StrEnum):
    """Verdict on a row."""

    KEPT = "kept"
    BETTER = "better"
    WORSE = "WORSE"
    NEW = "no history"
    NOTHING = "no ratio"
    LOST = "NO MORE"
    """There was a ratio, and now nobody was answered any more."""


@dataclass(frozen=True, slots=True)
class PastRatio:
    """One row of one run: its ratio, and the spread of the ratio's logarithm within that run."""

    ratio: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class NoiseVerdict:
    """A row beside its history. Smaller ratios are better in every row."""

    found: NoiseFound
    ratio: float | None
    expected: float | None = None
    """The median of the kept runs."""
    noise: float = 0.0
    """The ratio may be so much higher than expected, as a share: 0.12 is 12 %."""
    runs: int = 0

    @property
    def limit(self) -> float | None:
        return None if self.expected is None else self.expected * (1 + self.noise)


def judge(now: PastRatio | None, kept: Sequence[PastRatio]) -> NoiseVerdict:
    """`kept` in any order."""
    if now is None:
        return NoiseVerdict(NoiseFound.NOTHING, None, runs=len(kept))
    if not kept:
        return NoiseVerdict(NoiseFound.NEW, now.ratio)
    expected = math.exp(median(math.log(one.ratio) for one in kept))
    noise = _noise(now, kept)
    off = math.log(now.ratio / expected)
    limit = math.log1p(noise)
    found = NoiseFound.WORSE if off > limit else NoiseFound.BETTER if off < -limit else NoiseFound.KEPT
    return NoiseVerdict(found, now.ratio, expected, noise, len(kept))


def _noise(now: PastRatio, kept: Sequence[PastRatio]) -> float:
    """Three standard deviations of the difference between this run and the median of those before."""
    within = [one.spread**2 for one in kept if one.spread is not None]
    usual = median(within) if within else 0.0
    here = usual if now.spread is None else now.spread**2
    between = max(0.0, robust_variance([math.log(one.ratio) for one in kept]) - usual)
    count = len(kept)
    centre = (between + usual) * (_MEDIAN if count > 2 else 1.0) / count
    least = LEAST if count >= ENOUGH else UNSEEN
    return max(least, math.expm1(SIGMAS * math.sqrt(here + between + centre)))


def robust_variance(values: Sequence[float]) -> float:
    """Of runs, by the median absolute deviation: one run beside a busy neighbour does not widen it.

    0 for fewer than three values. Few values show less than there is, so they count (n + 1) / (n - 1) fold.
    """
    count = len(values)
    if count < ENOUGH:
        return 0.0
    middle = median(values)
    deviation = _MAD * median(abs(value - middle) for value in values)
    return deviation**2 * (count + 1) / (count - 1)
