"""`make bench` and `make bench-check`: measure, print one table, keep it, or compare it with the history."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loadtests.bench.bench_rows import FULL, QUICK, ROWS, expected_s, measure
from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.noise import NoiseFound, NoiseVerdict, PastRatio, judge
from loadtests.report.command_line import command_parser
from loadtests.report.tables import (
    MEASUREMENTS,
    ROOT,
    about,
    as_typed,
    first,
    heading,
    keep_newest,
    mark_of,
    percentile,
    say,
    shape,
    table,
    table_of,
    thefts,
)

VERSION: Final = 1
DOCS: Final = ROOT / "docs"
TABLES: Final = MEASUREMENTS
HISTORY: Final = DOCS / "bench-history.jsonl"
MARK: Final = mark_of("make bench")
Run = dict[str, Any]


class BadHistory(ValueError):
    """A file is no history and no result of a run."""


def as_run(rows: Sequence[MeasuredRow], *, quick: bool) -> Run:
    """Every figure. `rounds` are what `line` leaves out."""
    return {
        "version": VERSION,
        **about(),
        "shape": shape(),
        "quick": quick,
        "rows": {row.key: _as_row(row) for row in rows},
    }


def _as_row(measured: MeasuredRow) -> Run:
    row = measured.row
    return {
        "what": row.name,
        "unit": row.unit,
        "ours": _ends(row.ours),
        "floor": _ends(row.floor) | {"what": row.floor_name},
        "ratio": _rounded(measured.ratio),
        "share": measured.share,
        "spread": _rounded(measured.spread),
        "budget": row.budget,
        "kept": row.kept,
        "note": row.note,
        "stolen": _rounded(measured.stolen),
        "paired": measured.paired,
        "rounds": {
            "ours": [[_rounded(value) for value in one] for one in measured.ours],
            "floor": [[_rounded(value) for value in one] for one in measured.floor],
        },
    }


def _ends(series: Sequence[float]) -> Run:
    if not series:
        return {"n": 0}
    ends = {"p50": percentile(series, 0.5), "p95": percentile(series, 0.95)}
    return {name: _rounded(value) for name, value in ends.items()} | {"n": len(series)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def line(run: Mapping[str, Any]) -> str:
    """One line of the history: everything but the rounds, whose spread is there."""
    rows = {
        key: {name: value for name, value in row.items() if name != "rounds"}
        for key, row in run["rows"].items()
    }
    return json.dumps({**run, "rows": rows}, separators=(",", ":")) + "\n"


def keep(run: Mapping[str, Any], report: str, tables: Path = TABLES, history: Path = HISTORY) -> None:
    """The table on top of the others, the line below them."""
    try:
        keep_newest(report, MARK, tables)
    except ValueError as error:
        raise BadHistory(str(error)) from error
    with history.open("a") as lines:
        lines.write(line(run))


def read_history(file: Path = HISTORY) -> list[Run]:
    """The oldest first; none where there is no file. Raises BadHistory."""
    if not file.exists():
        return []
    return [_run(text, f"{file.name}, line {number}") for number, text in _lines(file)]


def read_run(file: Path) -> Run:
    """Read a run that --json wrote, or one line of a history. Raises BadHistory."""
    try:
        return _run(file.read_text(), str(file))
    except OSError as error:
        raise BadHistory(f"{file}: {error.strerror}") from error


def _lines(file: Path) -> Iterable[tuple[int, str]]:
    return ((number, text) for number, text in enumerate(file.read_text().splitlines(), 1) if text.strip())


def _run(text: str, where: str) -> Run:
    try:
        run: Run = json.loads(text)
        if run["version"] != VERSION:
            raise BadHistory(f"{where} is of version {run['version']}, this program knows {VERSION}")
        for row in run["rows"].values():
            row["ratio"], row["spread"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadHistory):
            raise
        raise BadHistory(f"{where} is no result of make bench: {error!r}") from error
    return run


def past(runs: Iterable[Mapping[str, Any]], shape: str | None) -> dict[str, list[PastRatio]]:
    """Of each row, what the runs on machines of this shape found; None: on any."""
    found: dict[str, list[PastRatio]] = {}
    for run in runs:
        if shape in (None, run["shape"]):
            for key, row in run["rows"].items():
                if row["ratio"]:
                    found.setdefault(key, []).append(PastRatio(row["ratio"], row["spread"]))
    return found


_ROWS: Final = "".join(
    f"  {letter}  {words} ({QUICK.seconds[letter]} s, {FULL.seconds[letter]} s)\n"
    for letter, words in ROWS.items()
)
_BENCH: Final = f"""rows, with about how long they take by --quick and in full:
{_ROWS}
Each row is ours beside a floor that was measured in the same run: read the ratio, not the times.

  make bench                               all rows, about {expected_s(FULL, ROWS) // 60} minutes
  make bench ARGS="--quick"                fewer rounds, about {expected_s(QUICK, ROWS) // 60} minutes
  make bench ARGS="--quick --rows b c"     a look at two of them
  make bench ARGS="--json now.json"        every figure, round by round
  make bench ARGS="--keep"                 table and history into docs/
"""
_CHECK: Final = f"""rows, with about how long they take by --quick and in full:
{_ROWS}
A ratio is compared with the median of the kept runs on machines of the same shape (cores, processor,
memory). It is worse when it is higher by more than its noise: three standard deviations, from the rounds of
the runs and from how much kept runs differ; at least 5 %, and 10 % while fewer than three are kept.
docs/benchmarks.md says how it is reckoned.

  make bench-check                                   all rows, quick, against docs/bench-history.jsonl
  make bench-check ARGS="--full --rows e g"          some of them, with as many rounds as make bench has
  make bench-check ARGS="--against before.json"      against what --json wrote before a change
  make bench-check ARGS="--given now.json"           measure nothing: judge what --json wrote

exit: 0 nothing is worse (a row without history is said, and fails nothing); 1 something is; 2 nothing that
was measured is, but something could not be measured; 130 the same, because it was stopped
"""


def bench_parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = _parser("make bench ARGS=", "Measure every figure of the design beside its floor.", _BENCH)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer rounds: less certain, a third of the time")
    add("--keep", action="store_true", help="write the table and the history into docs/")
    return parser.parse_args(words)


def check_parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The same of make bench-check."""
    what = "Did anything get worse than it was, beyond its noise?"
    parser = _parser("make bench-check ARGS=", what, _CHECK)
    add = parser.add_argument
    many = "as many rounds as make bench, not the quick ones"
    add("--full", dest="quick", action="store_false", help=many)
    one = "one run, as --json wrote it, instead of the history"
    add("--against", type=Path, metavar="FILE", help=one)
    add("--given", type=Path, metavar="FILE", help="judge this run instead of a new one")
    return parser.parse_args(words)


def _parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    parser = command_parser(prog, description, "--json", "--cache", "--key", epilog=epilog)
    rows: dict[str, Any] = {"choices": ROWS, "default": list(ROWS), "metavar": "ROW"}
    parser.add_argument("--rows", nargs="+", help="a to h (default: all)", **rows)
    return parser


_NOISE: Final = (
    "Behind n: the noise of the ratio within this run, three standard deviations by a bootstrap over rounds."
)


FINE, MISSED, STOPPED = 0, 1, 130
INTERRUPTED: Final = "interrupted"
"""Among the rows that were missed, where somebody stopped the run."""


def bench_main() -> int:
    """Measure, print the table, and with --keep put it into docs/.

    1: a row could not be measured. 130: it was stopped.
    """
    arguments = bench_parsed()
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


def measured(arguments: argparse.Namespace, missed: list[str]) -> list[MeasuredRow]:
    """All that could be measured, also until Ctrl-C; written to --json as well. The others are `missed`."""
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    plan = QUICK if arguments.quick else FULL
    say(f"rows {' '.join(arguments.rows)}: about {expected_s(plan, arguments.rows) // 60 + 1} min")

    def miss(rows: Sequence[str], error: Exception) -> None:
        missed.extend(rows)
        say(f"{' '.join(rows)}: not all of it could be measured: {first(error)!r}")

    found: list[MeasuredRow] = []
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


def _watched(rows: Iterable[MeasuredRow]) -> Iterator[MeasuredRow]:
    """Each with what other machines on the same hardware took while it was measured."""
    shares = thefts()
    next(shares)
    for row in rows:
        yield replace(row, stolen=next(shares))


def write(run: Run, file: Path) -> None:
    file.write_text(json.dumps(run, indent=1) + "\n")


def text(rows: list[MeasuredRow], missed: Sequence[str] = ()) -> str:
    """The table under its heading, which says what is not in it."""
    failed = [row for row in missed if row != INTERRUPTED]
    without = f" Something failed; not all is here of: {', '.join(failed)}." if failed else ""
    without += " It was stopped." if INTERRUPTED in missed else ""
    return heading(as_typed("make bench"), f". {_NOISE}{without}") + table([row.told for row in rows])


NOT_WORSE, WORSE, WRONG = 0, 1, 2


def check_main() -> int:
    """0, 1 or 2: see --help."""
    arguments = check_parsed()
    missed: list[str] = []
    try:
        before = past(*_before(arguments))
        now = (
            read_run(arguments.given)
            if arguments.given
            else as_run(measured(arguments, missed), quick=arguments.quick)
        )
    except BadHistory as error:
        sys.stderr.write(f"bench-check: {error}\n")
        return WRONG
    chosen = {key: row for key, row in now["rows"].items() if key[0] in arguments.rows}
    verdicts = judged(chosen, before)
    print(table_of(_cells(now["rows"], verdicts)))
    for words_of_it in complaints(verdicts):
        print(words_of_it)
    if any(one.found in (NoiseFound.WORSE, NoiseFound.LOST) for one in verdicts.values()):
        return WORSE
    return STOPPED if INTERRUPTED in missed else WRONG if missed else NOT_WORSE


def _before(arguments: argparse.Namespace) -> tuple[list[Run], str | None]:
    """The runs to compare with, and which shape of machine counts."""
    if arguments.against:
        return [read_run(arguments.against)], None
    return read_history(), shape()


def judged(
    rows: Mapping[str, Mapping[str, Any]], before: Mapping[str, list[PastRatio]]
) -> dict[str, NoiseVerdict]:
    """Each row of a run beside the same row of those before."""
    return {key: _judged(row, before.get(key, ())) for key, row in rows.items()}


def _judged(row: Mapping[str, Any], kept: Sequence[PastRatio]) -> NoiseVerdict:
    if kept and not row["ours"]["n"]:
        return NoiseVerdict(NoiseFound.LOST, None, runs=len(kept))
    return judge(PastRatio(row["ratio"], row["spread"]) if row["ratio"] else None, kept)


def complaints(verdicts: Mapping[str, NoiseVerdict]) -> Iterable[str]:
    """One line for each row that got worse; and how many rows could not be compared."""
    for key, one in verdicts.items():
        if one.found is NoiseFound.LOST:
            yield f"WORSE: {key} could be measured in {one.runs} kept runs, and cannot any more"
        if one.found is NoiseFound.WORSE and one.expected is not None:
            yield (
                f"WORSE: {key} is {one.ratio:.3g}, expected {one.expected:.3g} "
                f"(median of {one.runs}), noise {one.noise:.0%}: at most {one.limit:.3g}"
            )
    if new := [key for key, one in verdicts.items() if one.found is NoiseFound.NEW]:
        yield f"No history on a machine like this one: {', '.join(new)}. `make bench ARGS=--keep` makes some."


def _cells(
    rows: Mapping[str, Mapping[str, Any]], verdicts: Mapping[str, NoiseVerdict]
) -> Iterable[dict[str, str]]:
    for key, one in verdicts.items():
        cells = {"row": key, "what": rows[key]["what"]}
        cells["ratio found"] = "-" if one.ratio is None else f"{one.ratio:.3g}"
        cells["expected"] = "-" if one.expected is None else f"{one.expected:.3g}"
        cells["noise"] = "-" if one.expected is None else f"{one.noise:.0%}"
        yield cells | {"kept runs": str(one.runs), "verdict": one.found}
