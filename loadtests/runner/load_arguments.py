"""Command line of `make load`, and what makes it invalid."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.client import oracles
from loadtests.report import thresholds
from loadtests.report.command_line import (
    OF_A_LOAD,
    as_error,
    command_parser,
    count,
    number,
    rate,
    refuse_key,
    seconds,
)
from loadtests.report.load_result import PARTS
from loadtests.runner.arrival_times import PROFILES
from loadtests.runner.process_killer import schedule
from loadtests.scenarios import SCENARIOS

TASTE: Final = {"scenario": "day", "rate": 0.6, "seconds": 120.0}
"""Defaults: a short mixed day, for a system of its own on a small machine."""


def _examples() -> str:
    scenarios = "\n".join(
        f"  {name:<10} {(made.__doc__ or '').splitlines()[0]}" for name, made in SCENARIOS.items()
    )
    profiles = "\n".join(f"  {name:<10} {words}" for name, words in PROFILES.items())
    faults = "\n".join(f"  {name:<11} {words}" for name, words in oracles.KINDS.items())
    return f"""\
three examples:
  make load
      two minutes of a mixed day on a system of its own, with scripted engines; opens the report
  make load ARGS="--url http://127.0.0.1:8000 --scenario chat --rate 2/s --for 60"
      a minute of people who chat, two more each second, on a system that runs
  make load ARGS="--url https://voice.example --key $KEY --scenario narrate --arrivals ramp --rate 1/s \\
      --peak 20/s --for 10m --require 'ttfa_p95_ms<=800' --require 'refused_share<=0.05'"
      in CI: ends with 1, and says which line, where a requirement is not kept

scenarios:
{scenarios}

arrivals (people come when they are due, whether or not the others have been answered):
{profiles}

faults that are looked for; all but gaps must not happen, unless --require says something of the same name:
{faults}

--kill-every: from a minute after the beginning (less, where they are closer to each other) to as long before
the last people come, in an order that --seed decides, each once in a round: {", ".join(PARTS.values())}.
Connections that break are then gone on with from their last event, and requests that meet nobody are tried
again for as long as --patience; people fail who get no answer all the same.

--require: a figure, one of <= < >= > ==, and a number. Without a word of the same name are required: none of
the faults but gaps; lost_with_process<=0; failed<=0, or with --kill-every kills>0 and kills_not_followed<=0;
and answered>0, unless everybody was refused politely. The figures:
  {", ".join(thresholds.NAMES)}

ends with 0; 1 where a requirement is not kept; 2 where it was told something that cannot be; 130
after Ctrl-C, which sends everybody away and reports what there was (a second one ends it at once)."""


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with 2 and words about what cannot be."""
    parser = _parser()
    found = parser.parse_args(words)
    if found.peak is not None and found.arrivals not in ("ramp", "spike"):
        parser.error("--peak works only with --arrivals ramp or spike")
    found.peak = found.rate * 5 if found.peak is None else found.peak
    if found.rate <= 0 and found.arrivals != "ramp":
        parser.error("--rate 0 brings nobody")
    refuse_key(parser, found)
    _kills(parser, found)
    if found.keep and found.arrivals != "soak":
        parser.error(
            "--keep works only with --arrivals soak: that is what docs/measurements.md has a table of"
        )
    return found


def _kills(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    if found.kill_every is None:
        return
    if found.url:
        parser.error("--kill-every works only without --url: only a system of its own is killed")
    if not schedule(found.kill_every, found.seconds, found.seed):
        parser.error(
            "--kill-every kills nothing in so short a run: make --for longer, or --kill-every shorter"
        )


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "make load ARGS=",
        "Callers by the thousand on a Rhapsode: what they heard, and whether it was right.",
        *OF_A_LOAD,
        epilog=_examples(),
    )
    add = parser.add_argument
    add("--scenario", choices=list(SCENARIOS), default=TASTE["scenario"], metavar="NAME", help="below")
    add("--most", type=count, default=2_000, metavar="N", help="callers at once; default 2000")
    add(
        "--kill-every",
        type=seconds,
        metavar="LENGTH",
        help="kill -9 of one process of the system each time; without --url only; below",
    )
    add("--patience", type=seconds, default=60.0, metavar="LENGTH", help="for one answer; default 60")
    parser.set_defaults(from_arrival=False)  # asked for by `make load-curve` alone
    _when_people_come(parser)
    _what_people_do(parser)
    _what_comes_of_it(parser)
    return parser


def _when_people_come(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--rate",
        type=rate,
        default=TASTE["rate"],
        metavar="N/s",
        help="callers who come: 2/s, 30/m; default 0.6/s",
    )
    add("--peak", type=rate, metavar="N/s", help="of a ramp or a spike; default five times --rate")
    add(
        "--arrivals",
        choices=list(PROFILES),
        default="poisson",
        metavar="PROFILE",
        help="below; default poisson",
    )
    add(
        "--for",
        dest="seconds",
        type=seconds,
        default=TASTE["seconds"],
        metavar="LENGTH",
        help="60, 10m, 2h; default 2m",
    )
    add("--grace", type=seconds, default=60.0, metavar="LENGTH", help="for those inside then; default 60")


def _what_people_do(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--think", type=number, default=4.0, metavar="S", help="between two questions, about; default 4")
    add("--no-listen", dest="listen", action="store_false", help="nobody waits for the sound to be over")
    add("--pages", type=count, default=100, metavar="N", help="of a book; default 100")
    add("--listeners", type=count, default=20, metavar="N", help="of one session; default 20")
    add("--settings", type=_settings, default={}, metavar="JSON", help="of every session")
    add("--recordings", type=Path, metavar="FOLDER", help="WAV files to speak, 16 kHz mono; default Debian's")


def _what_comes_of_it(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--compare",
        type=count,
        default=200,
        metavar="N",
        help="sessions read from the log again; default 200",
    )
    add("--keep-sessions", action="store_true", help="they are deleted otherwise")
    often: Any = {"action": "append", "default": [], "help": "below; as often as wanted"}
    add("--require", type=as_error(thresholds.threshold), metavar="FIGURE<=N", **often)
    add("--plots", type=Path, metavar="FOLDER", help="its pictures over time go there as SVG files")
    add("--keep", action="store_true", help="a soak's table goes into docs/measurements.md")
    add("--out", type=Path, metavar="FOLDER", help="of load.json and load.html; default: a new one")


def _settings(text: str) -> Any:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no object")
    return found
