"""A picture of time to first audio by the number of callers: measured points on a simulated line."""

from collections.abc import Sequence
from math import log2

from loadtests.capacity.simulator.measured_comparison import ComparedSize
from loadtests.report.svg_charts import ChartLine, Labels, label_x, lines, milliseconds, rendered

_NAME = "Time to first audio by the number of callers: dots are measured, lines simulated"


def drawn(pairs: Sequence[ComparedSize]) -> str:
    """SVG: callers on a scale of doublings; p50 and p95."""
    sizes = [pair.measured.people for pair in pairs]
    at = [log2(size / min(sizes)) for size in sizes]
    series = [
        ChartLine(
            name,
            style,
            [pair.simulated.ttfa[end] for pair in pairs],
            points=[pair.measured.ttfa[end] for pair in pairs],
        )
        for end, (name, style) in enumerate((("p50", "one"), ("p95", "two")))
    ]

    def axis(end: float) -> Labels:
        return [(label_x(x, end), str(size), "middle") for x, size in zip(at, sizes, strict=True)]

    return rendered("alone.svg", chart=lines(_NAME, at, series, milliseconds, along=axis)) + "\n"
