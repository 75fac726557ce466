"""One measured row with its rounds, so that its noise is known. Pure arithmetic."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final, Self

from loadtests.report.tables import ComparisonRow, percentile

Series = Sequence[float]
_RESAMPLES: Final = 400
_MOST: Final = 2_000
"""Values of a series that is resampled; a longer one is thinned evenly: its percentiles stay."""
_ENOUGH: Final = 3
"""Fewer rounds say nothing of their spread."""
_WORTH_TELLING: Final = 0.02
_SIDES: Final = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A row, the rounds that it was put together from, and the percentile that is judged."""

    key: str
    """The same in every run, as "e.200"; the letter is the row's name on the command line."""
    row: ComparisonRow
    ours: Sequence[Series]
    """Round by round."""
    floor: Sequence[Series]
    paired: bool = True
    """Rounds of ours and of the floor happened in turns: what disturbed one disturbed the other."""
    share: float = 0.5
    stolen: float = 0.0
    """Which part of the processors other machines had meanwhile."""

    @classmethod
    def each(cls, key: str, row: ComparisonRow, *, paired: bool = True, share: float = 0.5) -> Self:
        """Every value is a round of its own."""
        ours, floor = ([[value] for value in series] for series in (row.ours, row.floor))
        return cls(key, row, ours, floor, paired and len(ours) == len(floor), share)

    @property
    def told(self) -> ComparisonRow:
        """The row after its letter, with the noise of its ratio and what other machines took in its note."""
        said = [self.row.note] if self.row.note else []
        if self.stolen >= _WORTH_TELLING:
            said.insert(0, f"{self.stolen:.0%} of the processors stolen")
        if self.spread is not None:
            said.insert(
                0, f"±{math.expm1(3 * self.spread):.0%}" + (" of the p95" if self.share > 0.5 else "")
            )
        return replace(self.row, name=f"{self.key[0]}: {self.row.name}", note="; ".join(said))

    @property
    def ratio(self) -> float | None:
        """Ours by the floor; None: one of them is nothing."""
        return ratio(self.ours, self.floor, self.share)

    @property
    def spread(self) -> float | None:
        """The standard deviation of the ratio's logarithm, by its rounds; None: too few of them."""
        return spread(self.ours, self.floor, self.share, paired=self.paired)


def ratio(ours: Sequence[Series], floor: Sequence[Series], share: float) -> float | None:
    """Of the same percentile of all rounds together. None where there is none."""
    mine, base = ([value for series in rounds for value in series] for rounds in (ours, floor))
    if not mine or not base:
        return None
    above, below = percentile(mine, share), percentile(base, share)
    return above / below if above > 0 and below > 0 else None


def spread(ours: Sequence[Series], floor: Sequence[Series], share: float, *, paired: bool) -> float | None:
    """How much the logarithm of the ratio would differ in runs like this one, by a bootstrap over rounds.

    A robust standard deviation: a 90 % interval of the resampled ratios, divided by that of a normal
    distribution. The order of the rounds does not matter. None where there are fewer than three.
    """
    if min(len(ours), len(floor)) < _ENOUGH:
        return None
    mine, base = [_thin(one, len(ours)) for one in ours], [_thin(one, len(floor)) for one in floor]
    both = sorted(zip(mine, base, strict=True)) if paired else []
    mine, base = (mine, base) if paired else (sorted(mine), sorted(base))
    chance = random.Random(0)
    found: list[float] = []
    for _ in range(_RESAMPLES):
        if paired:
            chosen = chance.choices(both, k=len(both))
            again = ratio([one for one, _ in chosen], [other for _, other in chosen], share)
        else:
            again = ratio(chance.choices(mine, k=len(mine)), chance.choices(base, k=len(base)), share)
        if again is not None:
            found.append(math.log(again))
    if len(found) < _RESAMPLES // 2:
        return None
    wide = percentile(found, 0.95) - percentile(found, 0.05)
    rounds = min(len(ours), len(floor))
    return wide / (2 * _SIDES) * math.sqrt(rounds / (rounds - 1))


def _thin(series: Series, rounds: int) -> list[float]:
    """At most its part of `_MOST` values, evenly chosen from the sorted ones."""
    ordered, most = sorted(series), max(1, _MOST // rounds)
    if len(ordered) <= most:
        return ordered
    return [ordered[int((place + 0.5) * len(ordered) / most)] for place in range(most)]
