"""`make dashboard`: callers talk to a running system, Prometheus watches, and the dashboard is drawn."""

import argparse
import asyncio
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.report.command_line import command_parser
from loadtests.report.svg_charts import rendered
from loadtests.report.tables import ROOT
from loadtests.runner.load_command import measured, parsed
from loadtests.servers.prometheus_server import Prometheus, PrometheusSeries, prometheus
from loadtests.servers.rhapsode_process import Scripts, rhapsode

DASHBOARD: Final = ROOT / "cluster" / "observability" / "dashboards" / "rhapsode.json"
_COLUMN, _ROW_PX, _GAP, _AROUND, _LEFT = 66, 34, 8, 48, 52
_COLOURS: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#c4162a")


def drawing(asked: Prometheus, *, since_s: float, span: str, step_s: float) -> str:
    """The whole dashboard as SVG. `span` stands for Grafana's $__rate_interval."""
    rows, panels, height = [], [], 0
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        place = panel["gridPos"]
        height = max(height, (place["y"] + place["h"]) * _ROW_PX)
        x, y = place["x"] * _COLUMN, place["y"] * _ROW_PX
        if panel["type"] == "row":
            rows.append((0, y, panel["title"]))
            continue
        found = [
            line
            for target in panel["targets"]
            for line in asked.lines(
                target["expr"].replace("$__rate_interval", span),
                target["legendFormat"],
                since_s=since_s,
                step_s=step_s,
            )
        ]
        size = {"width": place["w"] * _COLUMN - _GAP, "height": place["h"] * _ROW_PX - _GAP}
        panels.append({"x": x, "y": y, "title": panel["title"], **size, **_drawn(panel, found, **size)})
    return rendered("dashboard.svg", width=24 * _COLUMN, height=height, rows=rows, panels=panels)


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


def _drawn(
    panel: Mapping[str, Any], found: Sequence[PrometheusSeries], width: int, height: int
) -> dict[str, Any]:
    """Levels, limit and curves of one panel."""
    series = [one for one in found if one.points]
    if not series:
        return {"curves": ()}
    defaults = panel["fieldConfig"]["defaults"]
    unit, right, tall = defaults["unit"], width - 16, height - _AROUND
    limit = defaults["thresholds"]["steps"][1]["value"] if "thresholds" in defaults else None
    begin = min(one.points[0][0] for one in series)
    end = max(one.points[-1][0] for one in series)
    high = _round_up(max(value for one in series for _, value in one.points), unit)

    def up(value: float) -> float:
        return round(tall - 6 - (tall - 14) * value / high, 1)

    def path(one: PrometheusSeries) -> str:
        places = (
            (_LEFT + (right - _LEFT) * (at - begin) / max(1.0, end - begin), up(value))
            for at, value in one.points
        )
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    return {
        "left": _LEFT,
        "right": right,
        "levels": [(up(high * share), _shown(high * share, unit)) for share in (0.0, 0.5, 1.0)],
        "limit": up(limit) if limit is not None and limit <= high else None,
        "curves": [
            (colour, path(one), f"{one.name} {_shown(one.points[-1][1], unit)}")
            for one, colour in zip(series, cycle(_COLOURS), strict=False)
        ],
    }


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


_PICTURE = ROOT / "docs" / "dashboard.png"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rhapsode-dashboard-") as made:
        folder = Path(made)
        if arguments.url:
            _watch(arguments.url, folder, arguments)
            return
        scripts: Scripts | None = {} if arguments.scripted else None
        with rhapsode(folder / "home", cache=arguments.cache, scripts=scripts) as url:
            _watch(url, folder, arguments)


def _watch(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    begun = time.time()
    with prometheus(folder / "prometheus", httpx.URL(url).netloc.decode()) as asked:
        asyncio.run(measured(_load(arguments), url, None))
        drawn = drawing(asked, since_s=time.time() - begun, span="30s", step_s=2)
        shoot(drawn, folder, arguments.picture)
        wrong = {name for name, health in asked.rules().items() if health == "err"}
        firing = asked.firing()
    sys.stdout.write(f"{arguments.picture}; alerts firing: {', '.join(sorted(firing)) or 'none'}; ")
    sys.stdout.write(f"rules that cannot be evaluated: {', '.join(sorted(wrong)) or 'none'}\n")


def _load(arguments: argparse.Namespace) -> argparse.Namespace:
    """Callers who chat, as `make load` has them; each stays for about half a minute."""
    words = f"--scenario chat --rate {2 * arguments.people}/m --for {arguments.seconds} --grace 1s --quiet"
    load = parsed([*words.split(), "--keep-sessions"])
    load.command = "make dashboard"
    return load


def _arguments() -> argparse.Namespace:
    parser = command_parser("make dashboard ARGS=", __doc__, "--url", "--cache")
    parser.add_argument("--people", type=int, default=4, help="at once, about")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--scripted", action="store_true", help="scripted engines instead of models")
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    return parser.parse_args()
