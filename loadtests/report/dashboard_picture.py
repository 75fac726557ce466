"""The dashboard's JSON as a picture: each panel's queries, answered by Prometheus, as lines. Not Grafana."""

import html
import json
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.report.prometheus_server import Prometheus, PrometheusSeries
from loadtests.report.result_store import ROOT

DASHBOARD: Final = ROOT / "cluster" / "observability" / "dashboards" / "rhapsode.json"
_COLUMN, _ROW_PX, _GAP, _HEAD, _FOOT = 66, 34, 8, 26, 22
_COLOURS: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#c4162a")
_STYLE: Final = """
text { font: 11px "DejaVu Sans", sans-serif; fill: #ccccdc; }
.row { font-size: 15px; } .title { font-size: 12px; font-weight: bold; }
.axis { font-size: 10px; fill: #8e8e99; }
"""


def drawing(asked: Prometheus, *, since_s: float, span: str, step_s: float) -> str:
    """The whole dashboard as SVG. `span` stands for Grafana's $__rate_interval."""
    found = json.loads(DASHBOARD.read_text("utf-8"))
    drawn, height = [], 0
    for panel in found["panels"]:
        place = panel["gridPos"]
        height = max(height, (place["y"] + place["h"]) * _ROW_PX)
        x, y = place["x"] * _COLUMN, place["y"] * _ROW_PX
        if panel["type"] == "row":
            drawn.append(f'<text class="row" x="2" y="{y + 24}">{html.escape(panel["title"])}</text>')
            continue
        lines = [
            line
            for target in panel["targets"]
            for line in asked.lines(
                target["expr"].replace("$__rate_interval", span),
                target["legendFormat"],
                since_s=since_s,
                step_s=step_s,
            )
        ]
        width, tall = place["w"] * _COLUMN - _GAP, place["h"] * _ROW_PX - _GAP
        inner = _panel(panel, lines, width, tall)
        drawn.append(f'<svg x="{x}" y="{y}" width="{width}" height="{tall}">{inner}</svg>')
    size = f'width="{24 * _COLUMN}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#111217"/>{"".join(drawn)}</svg>'
    )


def shoot(drawn: str, folder: Path, picture: Path) -> None:
    """With Chromium, or with librsvg where that is installed."""
    source = folder / "dashboard.svg"
    source.write_text(drawn, "utf-8")
    if (rsvg := shutil.which("rsvg-convert")) is not None:
        command = [rsvg, "-o", str(picture), str(source)]
    else:
        [size] = re.findall(r'width="(\d+)" height="(\d+)"', drawn)[:1]
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder / 'chromium'}"]
        flags += [f"--window-size={size[0]},{size[1]}", f"--screenshot={picture}"]
        command = [shutil.which("chromium-headless-shell") or "chromium", *flags, source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _panel(panel: Mapping[str, Any], lines: Sequence[PrometheusSeries], width: int, height: int) -> str:
    frame = '<rect width="100%" height="100%" fill="#181b1f" stroke="#25272e" rx="2"/>'
    title = f'<text class="title" x="8" y="18">{html.escape(panel["title"])}</text>'
    lines = [line for line in lines if line.points]
    if not lines:
        return f'{frame}{title}<text x="50%" y="55%" text-anchor="middle">No data</text>'
    defaults = panel["fieldConfig"]["defaults"]
    limit = defaults["thresholds"]["steps"][1]["value"] if "thresholds" in defaults else None
    chart = _chart(lines, defaults["unit"], limit, width - 16, height - _HEAD - _FOOT)
    legend = _legend(lines, height, defaults["unit"])
    return f'{frame}{title}<g transform="translate(8,{_HEAD})">{chart}</g>{legend}'


def _legend(lines: Sequence[PrometheusSeries], height: int, unit: str) -> str:
    shown = [f"{line.name} {_shown(line.points[-1][1], unit)}" for line in lines]
    words = "".join(
        f'<tspan fill="{colour}">━ </tspan>{html.escape(text)}   '
        for text, colour in zip(shown, _COLOURS * 9, strict=False)
    )
    return f'<text x="8" y="{height - 8}" xml:space="preserve">{words}</text>'


def _chart(lines: Sequence[PrometheusSeries], unit: str, limit: float | None, width: int, height: int) -> str:
    begin = min(line.points[0][0] for line in lines)
    end = max(line.points[-1][0] for line in lines)
    high = _round_up(max(value for line in lines for _, value in line.points), unit)
    left = 52

    def place(at: float, value: float) -> str:
        x = left + (width - left) * (at - begin) / max(1.0, end - begin)
        return f"{x:.1f},{height - 6 - (height - 14) * value / high:.1f}"

    parts = []
    for share in (0.0, 0.5, 1.0):
        y = place(begin, high * share).partition(",")[2]
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y}" y2="{y}" stroke="#25272e"/>')
        label = html.escape(_shown(high * share, unit))
        parts.append(f'<text x="{left - 6}" y="{float(y) + 3}" text-anchor="end" class="axis">{label}</text>')
    if limit is not None and limit <= high:
        y = place(begin, limit).partition(",")[2]
        parts.append(
            f'<line x1="{left}" x2="{width}" y1="{y}" y2="{y}" stroke="#f2495c" stroke-dasharray="4"/>'
        )
    for line, colour in zip(lines, _COLOURS * 9, strict=False):
        points = " ".join(place(*point) for point in line.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return "".join(parts)


def _round_up(value: float, unit: str) -> float:
    """1, 2 or 5 times a power of ten; bytes to a power of two."""
    if value <= 0 or math.isinf(value):
        return 1.0
    if unit == "bytes":
        return float(2 ** math.ceil(math.log2(value)))
    power = float(10 ** math.floor(math.log10(value)))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def _shown(value: float, unit: str) -> str:
    match unit:
        case "s":
            return f"{value:.2f} s" if value >= 1 else f"{value * 1_000:.3g} ms"
        case "bytes":
            return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"
        case "percentunit":
            return f"{value:.0%}"
        case "opm":
            return f"{value:.3g}/min"
        case _:
            return f"{value:.3g}" if value < 1_000 else f"{value / 1_000:.3g} k"
