"""`make bench`: measure, print one table, keep it."""

import argparse
import json
import os
from pathlib import Path
from typing import Final

from loadtests.bench import arguments as words
from loadtests.bench.keeping import Run, as_run, keep
from loadtests.bench.measured import Measured
from loadtests.bench.plan import FULL, QUICK, expected_s
from loadtests.bench.running import measure
from loadtests.console import say
from loadtests.figures import table
from loadtests.here import commit, machine, when

_NOISE: Final = (
    "Behind n: the noise of the ratio within this run, three standard deviations by a bootstrap over rounds."
)


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/."""
    arguments = words.bench()
    rows = measured(arguments)
    report = text(rows, quick=arguments.quick)
    print(report)
    if arguments.keep:
        keep(as_run(rows, quick=arguments.quick), report)


def measured(arguments: argparse.Namespace) -> list[Measured]:
    """All that was asked for; also written to --json."""
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    plan = QUICK if arguments.quick else FULL
    say(f"rows {' '.join(arguments.rows)}: about {expected_s(plan, arguments.rows) // 60 + 1} min")
    rows = sorted(measure(arguments.rows, plan, arguments.cache), key=lambda row: row.key[0])
    if arguments.json:
        write(as_run(rows, quick=arguments.quick), arguments.json)
    return rows


def write(run: Run, file: Path) -> None:
    file.write_text(json.dumps(run, indent=1) + "\n")


def text(rows: list[Measured], *, quick: bool) -> str:
    """The table under its heading."""
    how = "make bench ARGS=--quick" if quick else "make bench"
    heading = f"## {when()}\n\n{machine()}; `{how}`, commit {commit()}. {_NOISE}\n\n"
    return heading + table([row.told for row in rows])
