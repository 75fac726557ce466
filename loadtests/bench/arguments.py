"""What `make bench` and `make bench-check` can be told."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.bench.plan import FULL, QUICK, ROWS, expected_s

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


def bench(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = _parser("make bench ARGS=", "Measure every figure of the design beside its floor.", _BENCH)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: less certain, a third of the time"
    )
    parser.add_argument("--keep", action="store_true", help="write the table and the history into docs/")
    return parser.parse_args(words)


def check(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The same of make bench-check."""
    parser = _parser(
        "make bench-check ARGS=", "Did anything get worse than it was, beyond its noise?", _CHECK
    )
    parser.add_argument(
        "--full", dest="quick", action="store_false", help="as many rounds as make bench, not the quick ones"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="one run, as --json wrote it, instead of the history"
    )
    parser.add_argument("--given", type=Path, metavar="FILE", help="judge this run instead of a new one")
    return parser.parse_args(words)


def _parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=tuple(ROWS),
        default=list(ROWS),
        metavar="ROW",
        help="a to h (default: all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure into a file")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights"
    )
    parser.add_argument("--key", help="an API key, where the servers under test ask for one")
    return parser
