"""`make bench-check`: measure again, and fail where a ratio is worse than before by more than its noise."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtests.bench import arguments as words
from loadtests.bench.command import INTERRUPTED, STOPPED, measured
from loadtests.bench.keeping import BadHistory, Run, as_run, past, read_history, read_run
from loadtests.bench.noise import Found, Past, Verdict, judge
from loadtests.here import shape
from loadtests.voice.report import markdown

FINE, WORSE, WRONG = 0, 1, 2
_HEADINGS: Final = ("row", "what", "ratio found", "expected", "noise", "kept runs", "verdict")


def main() -> int:
    """0, 1 or 2: see --help."""
    arguments = words.check()
    missed: list[str] = []
    try:
        before = past(*_before(arguments))
        now = read_run(arguments.given) if arguments.given else _measured(arguments, missed)
    except BadHistory as error:
        sys.stderr.write(f"bench-check: {error}\n")
        return WRONG
    verdicts = judged(_chosen(now, arguments.rows), before)
    print(markdown(_HEADINGS, _cells(now["rows"], verdicts)))
    for words_of_it in complaints(verdicts):
        print(words_of_it)
    if any(one.found in (Found.WORSE, Found.LOST) for one in verdicts.values()):
        return WORSE
    return STOPPED if INTERRUPTED in missed else WRONG if missed else FINE


def _before(arguments: argparse.Namespace) -> tuple[list[Run], str | None]:
    """The runs to compare with, and which shape of machine counts."""
    if arguments.against:
        return [read_run(arguments.against)], None
    return read_history(), shape()


def _measured(arguments: argparse.Namespace, missed: list[str]) -> Run:
    return as_run(measured(arguments, missed), quick=arguments.quick)


def _chosen(run: Run, rows: Iterable[str]) -> dict[str, Any]:
    return {key: row for key, row in run["rows"].items() if key[0] in rows}


def judged(rows: Mapping[str, Mapping[str, Any]], before: Mapping[str, list[Past]]) -> dict[str, Verdict]:
    """Each row of a run beside the same row of those before."""
    return {key: _judged(row, before.get(key, ())) for key, row in rows.items()}


def _judged(row: Mapping[str, Any], kept: Sequence[Past]) -> Verdict:
    if kept and not row["ours"]["n"]:
        return Verdict(Found.LOST, None, runs=len(kept))
    return judge(Past(row["ratio"], row["spread"]) if row["ratio"] else None, kept)


def complaints(verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    """What got worse, each in a line; and how many rows could not be compared."""
    for key, one in verdicts.items():
        if one.found is Found.LOST:
            yield f"WORSE: {key} could be measured in {one.runs} kept runs, and cannot any more"
        if one.found is Found.WORSE and one.expected is not None:
            yield (
                f"WORSE: {key} is {one.ratio:.3g}, expected {one.expected:.3g} "
                f"(median of {one.runs}), noise {one.noise:.0%}: at most {one.limit:.3g}"
            )
    if new := [key for key, one in verdicts.items() if one.found is Found.NEW]:
        yield f"No history on a machine like this one: {', '.join(new)}. `make bench ARGS=--keep` makes some."


def _cells(rows: Mapping[str, Mapping[str, Any]], verdicts: Mapping[str, Verdict]) -> Iterable[list[str]]:
    for key, one in verdicts.items():
        expected, noise = ("-", "-") if one.expected is None else (f"{one.expected:.3g}", f"{one.noise:.0%}")
        found = "-" if one.ratio is None else f"{one.ratio:.3g}"
        yield [key, rows[key]["what"], found, expected, noise, str(one.runs), one.found]
