"""What `make load-curve` can be told, and what is wrong with what it was told."""

import argparse
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

from loadtests.load.arguments import address, count, number, processes, rate
from loadtests.voice.arguments import seconds

RATES: Final = {
    "narrate": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
    "chat": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
}
"""People who come each second, step by step: from nearly idle to about twice what two cores take."""
_TEXT: Final = """\
three examples:
  make load-curve
      eight steps on a system of its own, with scripted engines: about seven minutes; opens the report
  make load-curve ARGS="--url http://127.0.0.1:8000 --scenario chat --rates 0.1/s,0.2/s,0.5/s,1/s"
      people who ask one question after the other, on a system that runs
  make load-curve ARGS="--for 10 --rates 1/s,4/s,12/s --flat 3 --out curve --quiet"
      a short one in CI: ends with 1, and says why, where a statement is not kept

what it says at its end:
  1. at the last step before the first late one (time to first audio, p95, above --late of the first step's),
     and in all steps before it, no gap was heard, nothing was lost, doubled, disordered, cut or mixed up, and
     everybody who was let in was answered
  2. beyond it, those who were let in heard their first audio within --flat of the first step's (p95); the
     others were refused with a code and a wait, and nobody was refused who was inside

Time to first audio is counted from when the question was due; of somebody's first question that is when they
were due to come, so that opening a session and connecting are part of it.

A step in which this client itself was late is marked: on one machine client and system share the cores.

ends with 0; 1 where a statement is not kept, or nothing came to judge it by; 2 where it was told something
that cannot be; 130 after Ctrl-C, which sends everybody away and reports what there was."""


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with 2 and words about what cannot be."""
    parser = argparse.ArgumentParser(
        prog="make load-curve ARGS=",
        description="More and more people, step by step: what those heard who were let in, and who was not.",
        epilog=_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", type=address, help="a system that runs; else one is started, with scripted engines")
    add("--key", help="an API key or a token, where the system asks for one (or RHAPSODE_KEY)")
    add("--scenario", choices=list(RATES), default="narrate", help="what people do; default narrate")
    add(
        "--rates",
        type=_rates,
        metavar="N/s,N/s",
        help="people who come, of each step; the first is the measure",
    )
    add("--for", dest="seconds", type=seconds, default=30.0, metavar="LENGTH", help="of a step; default 30")
    add("--pause", type=seconds, default=5.0, metavar="LENGTH", help="of calm before each step; default 5")
    add("--turns", type=count, default=3, metavar="N", help="questions of somebody who chats; default 3")
    add("--think", type=number, default=2.0, metavar="S", help="between two questions, about; default 2")
    add("--late", type=_factor, default=1.5, metavar="X", help="where load is felt; default 1.5")
    add("--flat", type=_factor, default=2.0, metavar="X", help="what is flat; default 2")
    add(
        "--processes",
        type=processes,
        default=1,
        metavar="N",
        help="of this client; auto: one per core; default 1",
    )
    add("--seed", type=int, default=1, help="the same seed brings the same people; default 1")
    add("--keep", action="store_true", help="write table and picture into docs/, on a quiet machine")
    add("--out", type=Path, metavar="FOLDER", help="of curve.json, curve.html, curve.svg; default: a new one")
    add("--quiet", action="store_true", help="no line of progress, and the report is not opened")
    found = parser.parse_args(words)
    if found.key and not found.url:
        parser.error("--key works only with --url: a system of its own asks nobody who they are")
    found.rates = found.rates or RATES[found.scenario]
    return found


def _rates(text: str) -> tuple[float, ...]:
    found = tuple(rate(one) for one in text.split(","))
    if min(found) <= 0 or list(found) != sorted(set(found)):
        raise argparse.ArgumentTypeError(f"{text!r}: steps go up, from more than nobody: such as 1/s,2/s,4/s")
    return found


def _factor(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1 < found < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no factor above 1")
    return found
