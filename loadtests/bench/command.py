"""`make bench`: measure, print one table, keep it."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtests.bench import arguments as words
from loadtests.bench.keeping import Run, as_run, keep
from loadtests.bench.measured import Measured
from loadtests.bench.plan import FULL, QUICK, expected_s
from loadtests.bench.running import measure
from loadtests.console import as_typed, first, say
from loadtests.figures import table
from loadtests.here import commit, machine, thefts, when

_NOISE: Final = (
    "Behind n: the noise of the ratio within this run, three standard deviations by a bootstrap over rounds."
)


FINE, MISSED, STOPPED = 0, 1, 130
INTERRUPTED: Final = "interrupted"
"""Among the rows that were missed, where somebody stopped the run."""


def main() -> int:
    """Measure, print the table, and with --keep put it into docs/.

    1: a row could not be measured. 130: it was stopped.
    """
    arguments = words.bench()
    missed: list[str] = []
    rows = measured(arguments, missed)
    report = text(rows, missed)
    print(report)
    stopped = INTERRUPTED in missed
    if arguments.keep and (stopped or not rows):
        say("nothing is kept of a run that was stopped or found nothing")
    elif arguments.keep:
        keep(as_run(rows, quick=arguments.quick), report)
    return STOPPED if stopped else MISSED if missed else FINE


def measured(arguments: argparse.Namespace, missed: list[str]) -> list[Measured]:
    """All that could be measured, also until Ctrl-C; written to --json as well. The others are `missed`."""
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    plan = QUICK if arguments.quick else FULL
    say(f"rows {' '.join(arguments.rows)}: about {expected_s(plan, arguments.rows) // 60 + 1} min")

    def miss(rows: Sequence[str], error: Exception) -> None:
        missed.extend(rows)
        say(f"{' '.join(rows)}: not all of it could be measured: {first(error)!r}")

    found: list[Measured] = []
    try:
        for row in _watched(measure(arguments.rows, plan, arguments.cache, miss)):
            found.append(row)
    except KeyboardInterrupt:
        missed.append(INTERRUPTED)
        say("interrupted: what was measured until then is told")
    rows = sorted(found, key=lambda row: row.key[0])
    if arguments.json:
        write(as_run(rows, quick=arguments.quick), arguments.json)
    return rows


def _watched(rows: Iterable[Measured]) -> Iterator[Measured]:
    """Each with what other machines on the same hardware took while it was measured."""
    shares = thefts()
    next(shares)
    for row in rows:
        yield replace(row, stolen=next(shares))


def write(run: Run, file: Path) -> None:
    file.write_text(json.dumps(run, indent=1) + "\n")


def text(rows: list[Measured], missed: Sequence[str] = ()) -> str:
    """The table under its heading, which says what is not in it."""
    how = f"`{as_typed('make bench')}`, commit {commit()}. {_NOISE}"
    failed = [row for row in missed if row != INTERRUPTED]
    without = f" Something failed; not all is here of: {', '.join(failed)}." if failed else ""
    without += " It was stopped." if INTERRUPTED in missed else ""
    return f"### {when()}\n\n{machine()}; {how}{without}\n\n" + table([row.told for row in rows])
