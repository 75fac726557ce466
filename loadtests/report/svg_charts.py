"""The style sheet of reports (light and dark, one column on a phone), and of pictures by themselves."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final

from loadtests.report.load_result import Latency

COLOURS: Final = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1b1f27; --soft:
  #5c6573; --rule: #dfe3e9; --one: #2457c5; --two: #b4490b; --three: #17713a; --four: #7a3fa8;
  --bad: #c02222; --good: #17713a; --warn:
  #946200; }
@media (prefers-color-scheme: dark) { :root { --ground: #111418; --card: #1a1f26; --ink: #e7eaef;
  --soft: #9aa5b4; --rule: #2e3641; --one: #7aa7ff; --two: #ff9d5c; --three: #5fd38d;
  --four: #c79bff; --bad: #ff7b7b; --good: #5fd38d;
  --warn: #f0c14b; }
}
"""
DRAWING: Final = """
svg text { font-size: 10.5px; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.bar { fill: var(--one); }
.mark { stroke: var(--two); stroke-width: 1.2; stroke-dasharray: 3 2; }
.kill { stroke: var(--bad); stroke-width: .7; stroke-opacity: .3; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.area { fill-opacity: .16; stroke: none; }
.one.line { stroke: var(--one); }
.two.line { stroke: var(--two); }
.three.line { stroke: var(--three); }
.four.line { stroke: var(--four); }
.bad.line { stroke: var(--bad); }
.warn.line { stroke: var(--warn); }
.one.area, .one.dot, .one.key { fill: var(--one); }
.two.area, .two.dot, .two.key { fill: var(--two); }
.three.area, .three.dot, .three.key { fill: var(--three); }
.four.dot, .four.key { fill: var(--four); }
.bad.area, .bad.dot, .bad.key { fill: var(--bad); }
.warn.area, .warn.dot, .warn.key { fill: var(--warn); }
.dot { fill-opacity: .75; }
"""
"""Of a picture, in the page or alone."""
STYLE: Final = f"""{COLOURS}{DRAWING}
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 1.2rem clamp(.8rem, 3vw, 2.5rem) 3rem; background: var(--ground); color:
  var(--ink); font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
main {{ max-width: 78rem; margin: 0 auto; }}
h1 {{ font-size: 1.45rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .6rem; }}
h3 {{ font-size: .95rem; margin: 0; }}
p {{ margin: .3rem 0; }}
.soft, figcaption {{ color: var(--soft); font-size: .86rem; }}
code {{ font: .84rem ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }}
.verdict {{ display: inline-block; padding: .15rem .7rem; border-radius: 1rem; font-weight: 600;
  border: 2px solid; }}
.good {{ color: var(--good); }}
.bad {{ color: var(--bad); }}
.warn {{ color: var(--warn); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem;
  margin: 1.1rem 0 0; }}
.tile, figure, .table {{ background: var(--card); border: 1px solid var(--rule); border-radius:
  .6rem; margin: 0; }}
.tile {{ padding: .6rem .8rem; }}
.tile b {{ display: block; font-size: 1.5rem; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; }}
.tile span {{ color: var(--soft); font-size: .82rem; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: .9rem; }}
figure {{ padding: .7rem .8rem .4rem; }}
figcaption {{ min-height: 2.6em; }}
svg {{ width: 100%; height: auto; display: block; }}
.figures {{ font-variant-numeric: tabular-nums; font-size: .86rem; margin: .2rem 0 .3rem; }}
.table + .table, .charts + .table {{ margin-top: .9rem; }}
.table {{ overflow-x: auto; padding: .2rem .4rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--rule);
  vertical-align: top; }}
tr:last-child td {{ border-bottom: 0; }}
th {{ color: var(--soft); font-weight: 600; font-size: .82rem; white-space: nowrap; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
"""


def figure(title: str, words: str, drawing: str, figures: str = "") -> str:
    numbers = f'<p class="figures">{figures}</p>' if figures else ""
    return f"<figure><h3>{title}</h3><figcaption>{words}</figcaption>{numbers}{drawing}</figure>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: set[int]) -> str:
    """Cells are HTML already."""

    def cells(kind: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=n' if number in numbers else ''}>{value}</{kind}>"
            for number, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>"
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>'


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


@dataclass(frozen=True, slots=True)
class ChartLine:
    """`style`: a class of the page's style sheet. None: nothing at that place."""

    name: str
    style: str
    values: Sequence[float | None]
    filled: bool = False


@dataclass(frozen=True, slots=True)
class ChartDots:
    """Values by numbers of people. `style`: a class of the page's style sheet."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def milliseconds(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1_000:.0f} s"
    if value >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 or value == 0 else f"{value:.1f} ms"


def plain(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:g}k"
    return f"{value:.3g}"


def histogram(name: str, latency: Latency) -> str:
    """Buckets that grow by a third each, with p50 and p95 marked."""
    most = _round_up(max(latency.counts))
    slot = _INNER / len(latency.counts)
    bars = []
    for number, (edge, count) in enumerate(zip(latency.edges, latency.counts, strict=True)):
        tall = count / most * (_FLOOR - _TOP - 10)
        words = escape(f"up to {milliseconds(edge)}: {count}")
        bars.append(
            f'<rect class="bar" x="{_LEFT + number * slot + 0.5:.1f}" y="{_FLOOR - tall:.1f}" '
            f'width="{max(1.0, slot - 1):.1f}" height="{tall:.1f}" rx="1"><title>{words}</title></rect>'
        )
    step = max(1, -(-len(latency.edges) // _LABELS))
    labels = [
        _text(
            min(_LEFT + (number + 1) * slot, _WIDTH - 18),
            _HEIGHT - 8,
            milliseconds(latency.edges[number]),
            "middle",
        )
        for number in range(step // 2, len(latency.edges), step)
    ]
    marks = [
        _mark(_LEFT + (bisect_left(latency.edges, value) + 0.5) * slot, words, at)
        for value, words, at in ((latency.p50, "p50", 0), (latency.p95, "p95", 1))
    ]
    return _svg(name, [*_levels(most, plain), *bars, *labels, *marks])


def _mark(x: float, words: str, number: int) -> str:
    aside, anchor = (3, "start") if x < _WIDTH - _RIGHT - 24 else (-3, "end")
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_FLOOR}"/>'
        f"{_text(x + aside, _TOP + 8 + 11 * number, words, anchor)}"
    )


def lines(
    name: str,
    at: Sequence[float],
    drawn: Sequence[ChartLine],
    shown: Show,
    *,
    along: Callable[[float], list[str]] | None = None,
    marked: Sequence[tuple[float, str]] = (),
    moments: Sequence[tuple[float, str]] = (),
) -> str:
    """Over seconds, or `along` what the axis says up to its end; with a legend where there is more than one.

    `marked`: where, and what is to be known of that place. `moments`: many, told where one points.
    """
    high = _round_up(
        max([value for line in drawn for value in line.values if value is not None], default=0.0)
    )
    end = max([*at, 1.0, *(moment for moment, _ in moments)])

    def place(x: float, value: float) -> tuple[float, float]:
        return _LEFT + x / end * _INNER, _FLOOR - value / high * (_FLOOR - _TOP)

    parts = [*_levels(high, shown), *(_moment(_LEFT + x / end * _INNER, words) for x, words in moments)]
    for line in drawn:
        for run in _runs(at, line.values):
            points = [place(*point) for point in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            if line.filled:
                area = f"{points[0][0]:.1f},{_FLOOR} {path} {points[-1][0]:.1f},{_FLOOR}"
                parts.append(f'<polygon class="{line.style} area" points="{area}"/>')
            if len(points) == 1:
                [(x, y)] = points
                parts.append(f'<circle class="{line.style} dot" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
            parts.append(f'<polyline class="{line.style} line" points="{path}"/>')
    parts += [_mark(_LEFT + x / end * _INNER, words, number) for number, (x, words) in enumerate(marked)]
    return _svg(name, [*parts, *(along or _seconds)(end), *_legend(drawn)])


def _moment(x: float, words: str) -> str:
    where = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_FLOOR}"'
    return f'<line class="kill" {where}><title>{escape(words)}</title></line>'


def dots(name: str, drawn: Sequence[ChartDots], shown: Show) -> str:
    """Against the number of people."""
    points = [point for series in drawn for point in series.points]
    wide = _round_up(max([x for x, _ in points], default=0.0))
    high = _round_up(max([y for _, y in points], default=0.0))
    parts = _levels(high, shown)
    for series in drawn:
        for people, value in series.points:
            x, y = _LEFT + people / wide * _INNER, _FLOOR - value / high * (_FLOOR - _TOP)
            words = escape(f"{series.name}, {people:g} people: {shown(value)}")
            parts.append(
                f'<circle class="{series.style} dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
                f"<title>{words}</title></circle>"
            )
    labels = [
        _text(
            _LEFT + share * _INNER,
            _HEIGHT - 8,
            f"{plain(share * wide)}{' people' if share == 1 else ''}",
            anchor,
        )
        for share, anchor in ((0.0, "middle"), (0.5, "middle"), (1.0, "end"))
    ]
    return _svg(name, [*parts, *labels, *_legend(drawn)])


def _runs(at_s: Sequence[float], values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Stretches without a hole."""
    found: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(at_s, values, strict=True):
        if value is not None:
            found[-1].append((at, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _levels(high: float, shown: Show) -> list[str]:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _FLOOR - share * (_FLOOR - _TOP)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if shown is not plain or share != 0.5 or high > 1:  # half a person is none
            parts.append(_text(_LEFT - 6, y + 4, shown(high * share), "end"))
    return parts


def _seconds(end: float) -> list[str]:
    minutes = end >= 300
    parts = []
    for share, anchor in ((0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end")):
        at = end * share
        parts.append(
            _text(
                _LEFT + share * _INNER, _HEIGHT - 8, f"{at / 60:.1f} m" if minutes else f"{at:.0f} s", anchor
            )
        )
    return parts


def per_second(end: float) -> list[str]:
    """An axis of people who come."""
    return [
        _text(_LEFT + share * _INNER, _HEIGHT - 8, f"{plain(share * end)}{words}", anchor)
        for share, words, anchor in ((0.0, "", "middle"), (0.5, "", "middle"), (1.0, " come a second", "end"))
    ]


def _legend(drawn: Sequence[ChartLine | ChartDots]) -> list[str]:
    if len(drawn) < 2:
        return []
    words = "".join(
        f'<tspan class="{line.style} key">&#9679; </tspan><tspan>{escape(line.name)}   </tspan>'
        for line in drawn
    )
    return [f'<text x="{_LEFT + 4}" y="{_TOP - 4}" xml:space="preserve">{words}</text>']


def _round_up(value: float) -> float:
    """1, 2, 3 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 3, 5, 10) if power * step >= value * (1 - 1e-9))


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(name: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )
