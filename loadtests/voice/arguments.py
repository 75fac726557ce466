"""What `make bench-voice` can be told."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600}
_EPILOG: Final = (
    "Times in the tables are milliseconds. A LENGTH is a number and its unit: ms, s, m (minutes) or h; "
    "without one it is seconds."
)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.fast and arguments.soak is None:
        parser.error("--fast works only with --soak")
    if arguments.listening and not arguments.trace:
        parser.error("--listening works only with --trace")
    return arguments


def seconds(text: str) -> float:
    """Of a length such as "30m", "1.5h", "500ms" or "90"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no length: a number and ms, s, m or h, such as 30m")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench-voice ARGS=",
        description="Measure the voice path and print what it costs.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--trace", action="store_true", help="one caller, step by step; quick")
    kind.add_argument("--soak", metavar="LENGTH", type=seconds, help="one caller who speaks so long, as 30m")
    add("--listening", type=json.loads, default={}, metavar="JSON", help="only with --trace: how it listens")
    add("--fast", action="store_true", help="only with --soak: as fast as it goes, not in real time")
    add("--turns", type=int, default=5, help="questions of each caller (default 5)")
    add("--callers", type=int, nargs="*", default=[1, 2, 4], help="at once (default 1 2 4)")
    add("--interruptions", type=int, default=8, help="answers spoken over (default 8)")
    add(
        "--url",
        help="a system that runs already, instead of one of our own; of its processes --soak has no figures "
        "(memory, files)",
    )
    add("--json", type=Path, metavar="FILE", help="write every figure into a file")
    add("--keep", action="store_true", help="write the tables into docs/measurements.md")
    add("--key", help="an API key, where the system asks for one")
    add("--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights")
    return parser
