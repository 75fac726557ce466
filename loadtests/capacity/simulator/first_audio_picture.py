"""A picture of time to first sound by the number of people, as SVG: measured points on a simulated line."""

from collections.abc import Sequence
from math import log2
from typing import Final

from loadtests.capacity.simulator.measured_comparison import ComparedSize

_WIDTH: Final = 640
_HEIGHT: Final = 360
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 30
_BOTTOM: Final = 60
_INK: Final = "#222222"
_FAINT: Final = "#cccccc"
_FIRST: Final = "#0b63b0"
_SECOND: Final = "#c4501b"


def drawn(pairs: Sequence[ComparedSize]) -> str:
    """People on a scale of doublings, seconds from nought; p50 and p95."""
    most = max([2.0, *(max(pair.measured.ttfa[1], pair.simulated.ttfa[1]) / 1_000 for pair in pairs)])
    scale = _Scale([pair.measured.people for pair in pairs] or [1, 2], most)
    parts = [
        *_axes(scale),
        *_series(pairs, scale, 0, _FIRST, "p50"),
        *_series(pairs, scale, 1, _SECOND, "p95"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13">\n'
        "<title>Time to first sound by the number of people: measured and simulated</title>\n"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


class _Scale:
    def __init__(self, people: Sequence[int], most_s: float) -> None:
        self.people = people
        self.most_s = most_s
        self._doublings = max(1.0, log2(max(people) / min(people)))

    def x(self, people: float) -> float:
        share = log2(people / min(self.people)) / self._doublings
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, seconds: float) -> float:
        return round(_HEIGHT - _BOTTOM - seconds / self.most_s * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes(scale: _Scale) -> list[str]:
    parts = []
    step = 0.5 if scale.most_s <= 3 else 1.0 if scale.most_s <= 8 else 2.0
    for number in range(int(scale.most_s / step) + 1):
        y = scale.y(number * step)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="{_FAINT}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{number * step:g} s", "end"))
    parts += [
        _text(scale.x(people), _HEIGHT - _BOTTOM + 18, str(people), "middle") for people in scale.people
    ]
    parts.append(
        _text(_WIDTH / 2, _HEIGHT - 12, "people at once; dots are measured, lines simulated", "middle")
    )
    parts.append(_text(_LEFT, 18, "from the question to the first sound", "start"))
    return parts


def _series(pairs: Sequence[ComparedSize], scale: _Scale, end: int, colour: str, name: str) -> list[str]:
    if not pairs:
        return []
    points = [(scale.x(pair.measured.people), scale.y(pair.simulated.ttfa[end] / 1_000)) for pair in pairs]
    line = " ".join(f"{x},{y}" for x, y in points)
    parts = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for pair in pairs:
        x, y = scale.x(pair.measured.people), scale.y(pair.measured.ttfa[end] / 1_000)
        parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
    parts.append(_text(_WIDTH - _RIGHT - 120 + 60 * end, 18, name, "start", colour))
    return parts


def _text(x: float, y: float, words: str, anchor: str, colour: str = _INK) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}">{words}</text>'
