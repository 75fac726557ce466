"""When callers come, decided before the first of them does: nobody waits for somebody else's answer. Pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from math import sqrt
from typing import Final

PROFILES: Final = {
    "constant": "evenly, --rate all the time",
    "poisson": "by chance, --rate on average (repeatable by --seed)",
    "ramp": "by chance, from --rate up to --peak",
    "spike": "by chance, at --rate, but at --peak during the middle fifth",
    "soak": "by chance, up to --rate within the first twentieth, and on from there",
}
_SPIKE: Final = (0.4, 0.6)
_WARM_UP: Final = 0.05


@dataclass(frozen=True, slots=True)
class Corner:
    """At this second callers come at this rate; between corners it changes evenly."""

    at_s: float
    per_s: float


def corners(profile: str, per_s: float, peak_per_s: float, seconds: float) -> list[Corner]:
    """The profile as a line. KeyError: there is no such profile."""
    (begin, end), peak = _SPIKE, peak_per_s
    shapes = {
        "constant": [(0.0, per_s), (1.0, per_s)],
        "poisson": [(0.0, per_s), (1.0, per_s)],
        "ramp": [(0.0, per_s), (1.0, peak_per_s)],
        "spike": [(0.0, per_s), (begin, per_s), (begin, peak), (end, peak), (end, per_s), (1.0, per_s)],
        "soak": [(0.0, 0.0), (_WARM_UP, per_s), (1.0, per_s)],
    }
    return [Corner(share * seconds, rate) for share, rate in shapes[profile]]


def arrivals(profile: str, per_s: float, peak_per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """Seconds after the beginning, in order; the first of an even profile comes at once."""
    line = corners(profile, per_s, peak_per_s, seconds)
    dice = random.Random(seed)
    counted, by_chance = chain((0.0,), repeat(1.0)), iter(lambda: dice.expovariate(1.0), None)
    yield from _where(line, counted if profile == "constant" else by_chance)


def _where(line: Sequence[Corner], steps: Iterator[float]) -> Iterator[float]:
    """Times at which the area under the line has grown by each of the steps.

    With steps of 1 that is an even stream, with exponential ones a Poisson process of that rate.
    """
    area, wanted = 0.0, next(steps)
    for left, right in pairwise(line):
        length = right.at_s - left.at_s
        piece = (left.per_s + right.per_s) / 2 * length
        while wanted < area + piece:
            yield left.at_s + _reach(wanted - area, left.per_s, (right.per_s - left.per_s) / length)
            wanted += next(steps)
        area += piece


def _reach(area: float, rate: float, slope: float) -> float:
    """How far to go from here until so much lies under the line: rate*x + slope*x*x/2 = area."""
    if area <= 0:
        return 0.0
    if abs(slope) < 1e-12:
        return area / rate
    # This form of the root neither divides by a small slope nor subtracts what is nearly equal.
    return 2 * area / (rate + sqrt(max(0.0, rate * rate + 2 * slope * area)))
