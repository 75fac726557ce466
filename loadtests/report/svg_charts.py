"""Charts of the reports as SVG, and the templates that pages are made from. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtests.report.load_result import Latency

_WIDTH: Final = 360
_HEIGHT: Final = 190
_LEFT: Final = 46
_RIGHT: Final = 10
_TOP: Final = 12
_BOTTOM: Final = 24
_INNER: Final = _WIDTH - _LEFT - _RIGHT
_FLOOR: Final = _HEIGHT - _BOTTOM
_LABELS: Final = 5

Show = Callable[[float], str]
Labels = list[tuple[float, str, str]]
"""Of the horizontal axis: x, words, text anchor."""
Figure = tuple[str, str, Markup]
"""Title, caption and chart."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """`style`: a class of drawing.css. None: nothing at that place. `points`: dots beside the line."""

    name: str
    style: str
    values: Sequence[float | None]
    filled: bool = False
    points: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class ChartDots:
    """Values by numbers of callers. `style`: a class of drawing.css."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def milliseconds(value: float | None) -> str:
    """With its unit; a dash for None."""
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1_000:.0f} s"
    if value >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 or value == 0 else f"{value:.1f} ms"


def plain(value: float) -> str:
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:.3g}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


_TEMPLATES: Final = Environment(
    loader=PackageLoader("loadtests.report"), autoescape=True, trim_blocks=True, undefined=StrictUndefined
)
_TEMPLATES.filters |= {"ms": milliseconds, "counted": _counted}


def rendered(template: str, **values: Any) -> Markup:
    """A file of templates/ with these values."""
    return Markup(_TEMPLATES.get_template(template).render(values))


def _chart(name: str, high: float, shown: Show, labels: Labels, **parts: Any) -> Markup:
    """`parts`: moments, bars, runs, dots, marks and legend, as templates/chart.svg takes them."""
    levels = []
    for share in (0.0, 0.5, 1.0):
        told = shown is not plain or share != 0.5 or high > 1  # half a caller is none
        levels.append((_up(share, 1.0), shown(high * share) if told else ""))
    empty = dict.fromkeys(("moments", "bars", "runs", "dots", "marks", "legend"), ())
    size = {"wide": _WIDTH, "high": _HEIGHT, "left": _LEFT, "right": _WIDTH - _RIGHT}
    values = empty | size | {"top": _TOP, "floor": _FLOOR, "name": name, "levels": levels, "labels": labels}
    return rendered("chart.svg", **values | parts)


def label_x(x: float, end: float) -> float:
    """Position in the picture of `x` on an axis that goes up to `end`."""
    return _LEFT + x / end * _INNER


def _up(value: float, high: float) -> float:
    return _FLOOR - value / high * (_FLOOR - _TOP)


def histogram(name: str, latency: Latency) -> Markup:
    """Buckets that grow by a third each, with p50 and p95 marked."""
    edges, counts = latency.edges, latency.counts
    most, slot = _round_up(max(counts)), _INNER / len(counts)
    bars = [
        (
            _LEFT + number * slot + 0.5,
            _FLOOR - count / most * (_FLOOR - _TOP - 10),
            max(1.0, slot - 1),
            f"up to {milliseconds(edge)}: {count}",
        )
        for number, (edge, count) in enumerate(zip(edges, counts, strict=True))
    ]
    step = max(1, -(-len(edges) // _LABELS))
    labels = [
        (min(_LEFT + (number + 1) * slot, _WIDTH - 18), milliseconds(edges[number]), "middle")
        for number in range(step // 2, len(edges), step)
    ]
    marks = [
        (_LEFT + (bisect_left(edges, value) + 0.5) * slot, words)
        for value, words in ((latency.p50, "p50"), (latency.p95, "p95"))
    ]
    return _chart(name, most, plain, labels, bars=bars, marks=marks)


def lines(
    name: str,
    at: Sequence[float],
    drawn: Sequence[ChartLine],
    shown: Show,
    *,
    along: Callable[[float], Labels] | None = None,
    marked: Sequence[tuple[float, str]] = (),
    moments: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Over seconds, or `along` what the axis says up to its end; with a legend where there is more than one.

    `marked`: where, and what is to be known of that place. `moments`: many, told where one points.
    """
    values = [value for line in drawn for value in (*line.values, *line.points) if value is not None]
    high = _round_up(max(values, default=0.0))
    end = max([*at, 1.0, *(moment for moment, _ in moments)])
    runs, dots = [], []
    for line in drawn:
        for run in _runs(at, line.values):
            points = [(label_x(x, end), _up(value, high)) for x, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            closed = f"{points[0][0]:.1f},{_FLOOR} {path} {points[-1][0]:.1f},{_FLOOR}"
            runs.append((line.style, path, closed if line.filled else ""))
            dots += [(line.style, *points[0], "")] if len(points) == 1 else []
        dots += [
            (line.style, label_x(x, end), _up(y, high), shown(y))
            for x, y in zip(at, line.points, strict=False)
        ]
    return _chart(
        name,
        high,
        shown,
        (along or _seconds)(end),
        runs=runs,
        dots=dots,
        moments=[(label_x(x, end), words) for x, words in moments],
        marks=[(label_x(x, end), words) for x, words in marked],
        legend=[(line.style, line.name) for line in drawn],
    )


def dots(name: str, drawn: Sequence[ChartDots], shown: Show) -> Markup:
    """Against the number of callers."""
    points = [point for series in drawn for point in series.points]
    wide = _round_up(max([x for x, _ in points], default=0.0))
    high = _round_up(max([y for _, y in points], default=0.0))
    placed = [
        (
            series.style,
            label_x(callers, wide),
            _up(value, high),
            f"{series.name}, {callers:g} people: {shown(value)}",
        )
        for series in drawn
        for callers, value in series.points
    ]
    labels = _thirds(wide, " callers")
    return _chart(name, high, shown, labels, dots=placed, legend=[(one.style, one.name) for one in drawn])


def _runs(at_s: Sequence[float], values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Stretches without a hole."""
    found: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(at_s, values, strict=True):
        if value is not None:
            found[-1].append((at, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _seconds(end: float) -> Labels:
    anchors = ((0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end"))
    return [
        (label_x(share, 1.0), f"{end * share / 60:.1f} m" if end >= 300 else f"{end * share:.0f} s", anchor)
        for share, anchor in anchors
    ]


def per_second(end: float) -> Labels:
    """An axis of callers who come."""
    return _thirds(end, " come a second")


def _thirds(end: float, unit: str) -> Labels:
    places = ((0.0, "", "middle"), (0.5, "", "middle"), (1.0, unit, "end"))
    return [(label_x(share, 1.0), f"{plain(share * end)}{words}", anchor) for share, words, anchor in places]


def _round_up(value: float) -> float:
    """1, 2, 3 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 3, 5, 10) if power * step >= value * (1 - 1e-9))
