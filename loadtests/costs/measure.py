"""`python -m loadtests.costs`: measure, print the table, and with --keep write docs/costs.json."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.console import say
from loadtests.costs import application, engines
from loadtests.costs.bare import scripted_cpu
from loadtests.costs.derive import derived
from loadtests.costs.table import tables
from loadtests.here import commit, machine, when

COSTS: Final = Path(__file__).resolve().parents[2] / "docs" / "costs.json"


def main() -> None:
    """Measure what each part of a turn costs here, in processor time."""
    arguments = _arguments()
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.engines_only:
        print(json.dumps(asyncio.run(engines.measure(arguments.cache))))
        return
    found = _before(arguments)
    if "engines" in arguments.parts:
        found["engines"] = _engines(arguments)
    if "around" in arguments.parts:
        with tempfile.TemporaryDirectory(prefix="rhapsode-costs-") as folder:
            found["around"] = _around(Path(folder), arguments)
    found |= {"machine": machine(), "when": when(), "commit": commit()}
    found["busy"] = f"load average {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    print(tables(found))
    if arguments.keep:
        COSTS.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.costs", description=main.__doc__)
    parser.add_argument("--parts", nargs="+", choices=("engines", "around"), default=["engines", "around"])
    parser.add_argument("--repeats", type=int, default=3, help="of the engines; medians count (default 3)")
    parser.add_argument("--without-ray", action="store_true", help="a gateway alone: what is our own")
    parser.add_argument("--keep", action="store_true", help="write docs/costs.json; other parts stay in it")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights"
    )
    parser.add_argument("--engines-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _around(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    steps = application.measure(folder, arguments.cache, say, ray=not arguments.without_ray)
    if not arguments.without_ray:
        return derived(steps) | {"hosted": "Ray Serve, two gateways"}
    engines = asyncio.run(scripted_cpu(application.SCRIPT, folder))
    return derived(steps, engines) | {"hosted": "one gateway in one process, without Ray"}


def _before(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was kept, where only a part is measured anew."""
    return json.loads(COSTS.read_text()) if len(arguments.parts) < 2 and COSTS.exists() else {}


def _engines(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each repeat in a process of its own, so that its processor time is that of the engines."""
    rows: list[Mapping[str, Any]] = []
    for number in range(arguments.repeats):
        say(f"engines, {number + 1} of {arguments.repeats}")
        command = [sys.executable, "-m", "loadtests.costs", "--engines-only", "--cache", str(arguments.cache)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return medians(rows)


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each figure, and of each figure of its tables."""
    return {
        name: medians([row[name] for row in rows])
        if isinstance(rows[0][name], dict)
        else median(row[name] for row in rows)
        for name in rows[0]
    }
