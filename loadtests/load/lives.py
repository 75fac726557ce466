"""Whether something grows although its processes die: growth is that of processes while they live. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

WARM_S: Final = 120.0
"""The beginning of a life, in which what is made once and kept is made."""
_SHORTEST_S: Final = 60.0
"""Of all lives together, beyond their beginnings: from less nobody can tell."""

Life = Sequence[tuple[float, float]]
"""When (seconds), and how much there was; in order."""


def settled(life: Life) -> Life:
    """What can be taken for growth: the second half, without the first two minutes in any case."""
    if not life:
        return life
    begins, ends = life[0][0], life[-1][0]
    from_s = begins + max(WARM_S, (ends - begins) / 2)
    return [sample for sample in life if sample[0] >= from_s]


def growth_per_minute(lives: Iterable[Life]) -> float | None:
    """The slope that all lives share, each around its own mean: how much one held before says nothing.

    A process that is killed starts anew with less; over all its lives that would look like a saw, whose slope
    depends on where it is cut off. None: too short to say.
    """
    above = below = seen_s = 0.0
    for life in map(settled, lives):
        if len(life) < 2:
            continue
        seen_s += life[-1][0] - life[0][0]
        mean_s = sum(at_s for at_s, _ in life) / len(life)
        mean = sum(value for _, value in life) / len(life)
        above += sum((at_s - mean_s) * (value - mean) for at_s, value in life)
        below += sum((at_s - mean_s) ** 2 for at_s, _ in life)
    return None if seen_s < _SHORTEST_S or not below else above / below * 60


def at_once(looks: Sequence[Mapping[str, float]]) -> float:
    """How many there usually are: the median. `looks`: by life, each time somebody looked."""
    counts = sorted(len(look) for look in looks)
    return float(counts[len(counts) // 2]) if counts else 0.0


def lives_of(at_s: Sequence[float], looks: Sequence[Mapping[str, float]]) -> list[Life]:
    """By life, from looks at all of them at these seconds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for moment_s, look in zip(at_s, looks, strict=True):
        for life, value in look.items():
            found.setdefault(life, []).append((moment_s, value))
    return list(found.values())


def growth_of_all(at_s: Sequence[float], looks: Sequence[Mapping[str, float]]) -> float | None:
    """Of as many processes as there usually are, together. None: too short to say."""
    each = growth_per_minute(lives_of(at_s, looks))
    return None if each is None else each * at_once(looks)
