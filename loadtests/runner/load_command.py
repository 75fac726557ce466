"""`make load`: plan, run, judge, report."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from loadtests.client import marks, oracles
from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.report import tables, thresholds
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
from loadtests.report.load_page import MARK, TABLES, keep, page, plotted
from loadtests.report.load_result import PARTS, LoadResult
from loadtests.report.tables import about, as_typed, thefts
from loadtests.runner.load_run import LoadRun, ProcessKiller, interruptible, schedule
from loadtests.runner.open_loop import LoadPlan, LoadProgress
from loadtests.runner.usage_summary import SystemProbe
from loadtests.runner.worker_pool import room
from loadtests.scenarios import SCENARIOS, cast
from loadtests.scenarios.scenario import ScenarioOptions
from loadtests.servers.rhapsode_process import SCRIPTS, rhapsode

PROFILES: Final = {
    "constant": "evenly, --rate all the time",
    "poisson": "by chance, --rate on average (repeatable by --seed)",
    "ramp": "by chance, from --rate up to --peak",
    "spike": "by chance, at --rate, but at --peak during the middle fifth",
    "soak": "by chance, up to --rate within the first twentieth, and on from there",
}
_SPIKE: Final = (0.4, 0.6)
_WARM_UP: Final = 0.05
_PIECES: Final = 1_000
"""Of a line between two corners."""


def corners(profile: str, per_s: float, peak_per_s: float, seconds: float) -> list[tuple[float, float]]:
    """The profile as a line: at these seconds callers come at these rates, which change evenly in between.

    KeyError: there is no such profile.
    """
    (begin, end), peak = _SPIKE, peak_per_s
    shapes = {
        "constant": [(0.0, per_s), (1.0, per_s)],
        "poisson": [(0.0, per_s), (1.0, per_s)],
        "ramp": [(0.0, per_s), (1.0, peak_per_s)],
        "spike": [(0.0, per_s), (begin, per_s), (begin, peak), (end, peak), (end, per_s), (1.0, per_s)],
        "soak": [(0.0, 0.0), (_WARM_UP, per_s), (1.0, per_s)],
    }
    return [(share * seconds, rate) for share, rate in shapes[profile]]


def arrivals(profile: str, per_s: float, peak_per_s: float, seconds: float, seed: int) -> list[float]:
    """Seconds after the beginning, in order; the first of an even profile comes at once.

    Callers come where the area under the line has grown by 1, or by exponential steps, which makes a Poisson
    process of that rate. At most one caller more than there are names.
    """
    line = corners(profile, per_s, peak_per_s, seconds)
    at_s, rates = (
        np.concatenate([np.linspace(left[axis], right[axis], _PIECES) for left, right in pairwise(line)])
        for axis in (0, 1)
    )
    grown = np.cumsum(np.diff(at_s) * (rates[1:] + rates[:-1]) / 2)
    area = np.append(0.0, grown.round(6))  # a sum of a thousand is a little off: one caller more at the end
    if profile == "constant":
        steps = np.arange(min(area[-1], marks.PEOPLE + 1))
    else:
        most = min(2 * area[-1] + _PIECES, marks.PEOPLE + 1)
        steps = np.cumsum(np.random.default_rng(seed).exponential(size=int(most)))
    times: list[float] = np.interp(steps[steps < area[-1]], area, at_s).tolist()
    return times


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
    add("--scenario", choices=SCENARIOS, default="day", metavar="NAME", help="below")
    add("--most", type=count, default=2_000, metavar="N", help="callers at once; default 2000")
    once = "kill -9 of one process each time; without --url only; below"
    add("--kill-every", type=seconds, metavar="LENGTH", help=once)
    add("--patience", type=seconds, default=60.0, metavar="LENGTH", help="for one answer; default 60")
    parser.set_defaults(from_arrival=False)  # asked for by `make load-curve` alone
    come = "callers who come: 2/s, 30/m; default 0.6/s"
    add("--rate", type=rate, default=0.6, metavar="N/s", help=come)
    add("--peak", type=rate, metavar="N/s", help="of a ramp or a spike; default five times --rate")
    add("--arrivals", choices=PROFILES, default="poisson", metavar="PROFILE", help="below; default poisson")
    how_long = "60, 10m, 2h; default 2m"
    add("--for", dest="seconds", type=seconds, default=120.0, metavar="LENGTH", help=how_long)
    add("--grace", type=seconds, default=60.0, metavar="LENGTH", help="for those inside then; default 60")
    add("--think", type=number, default=4.0, metavar="S", help="between two questions, about; default 4")
    add("--no-listen", dest="listen", action="store_false", help="nobody waits for the sound to be over")
    add("--pages", type=count, default=100, metavar="N", help="of a book; default 100")
    add("--listeners", type=count, default=20, metavar="N", help="of one session; default 20")
    add("--settings", type=_settings, default={}, metavar="JSON", help="of every session")
    add("--recordings", type=Path, metavar="FOLDER", help="WAV files to speak, 16 kHz mono; default Debian's")
    again = "sessions read from the log again; default 200"
    add("--compare", type=count, default=200, metavar="N", help=again)
    add("--keep-sessions", action="store_true", help="they are deleted otherwise")
    often: Any = {"action": "append", "default": [], "help": "below; as often as wanted"}
    add("--require", type=as_error(thresholds.threshold), metavar="FIGURE<=N", **often)
    add("--plots", type=Path, metavar="FOLDER", help="its pictures over time go there as SVG files")
    add("--keep", action="store_true", help="a soak's table goes into docs/measurements.md")
    add("--out", type=Path, metavar="FOLDER", help="of load.json and load.html; default: a new one")
    return parser


def _settings(text: str) -> Any:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no object")
    return found


KEPT, BROKEN, WRONG, STOPPED = 0, 1, 2, 130
_WORTH_TELLING: Final = 0.02
_COLUMNS: Final = 100


def load_main() -> int:
    arguments = parsed()
    arguments.command = as_typed("make load")
    result, code = None, None
    try:
        folder = _prepared(arguments)
        with system_of(arguments) as (url, home):
            result = asyncio.run(measured(arguments, url, home))
    except (ValueError, Failed, RuntimeError) as error:
        sys.stderr.write(f"load: {error}\n")
        code = WRONG
    except KeyboardInterrupt:
        code = STOPPED
    if result is None:
        return STOPPED if code is None else code
    _publish(result, folder, arguments)
    if code is not None:
        return code  # its system did not end well
    if result.stopped:
        return STOPPED
    return KEPT if all(one.kept for one in result.requirements) else BROKEN


def _prepared(arguments: argparse.Namespace) -> Path:
    """The report's folder; that all the others can be written is known as well. Raises ValueError."""
    folder = tables.folder(arguments.out, "rhapsode-load-")
    if arguments.plots is not None:
        tables.folder(arguments.plots, "")
    if arguments.keep:
        tables.place(TABLES, MARK)
    return folder


@contextmanager
def system_of(arguments: argparse.Namespace) -> Iterator[tuple[str, Path | None]]:
    """The address of the one that runs, or of one of its own, with its home."""
    if arguments.url:
        yield arguments.url, None
        return
    say(arguments, "starting a system with scripted engines\n")
    with tempfile.TemporaryDirectory(prefix="rhapsode-load-own-") as made:
        home = Path(made) / "home"
        with rhapsode(home, scripts=SCRIPTS, choosy=True) as url:
            yield url, home


async def measured(arguments: argparse.Namespace, url: str, home: Path | None) -> LoadResult:
    """Raises ValueError where the plan cannot be, Failed where nobody answers at `url`."""
    async with ApiConnection(url, arguments.key) as connection:
        plan, notes = planned(arguments)
        if home is not None and not plan.tidy:
            plan = replace(plan, keep=True)  # it goes with its system, whole
        await connection.greet()
        killer = None
        if home is not None and arguments.kill_every is not None:
            dues = schedule(arguments.kill_every, arguments.seconds, arguments.seed)
            killer = ProcessKiller(home, dues, arguments.seed)
        work = LoadRun(plan, url, arguments.key, arguments.processes, SystemProbe(connection, home), killer)
        shares = thefts()
        next(shares)
        with interruptible(work.stop):
            await work.through(lambda count, at_s: _progress(arguments, count, at_s))
        stolen = round(next(shares), 3)
        say(arguments, "\n")
    taken = f"Other machines on the same hardware had {stolen:.0%} of the processors meanwhile."
    result = LoadResult(
        **about(),
        url=url,
        own_system=home is not None,
        command=arguments.command,
        scenario=arguments.scenario,
        arrivals=_in_words(arguments),
        seed=arguments.seed,
        stolen=stolen,
        **work.figures(),
        notes=(*notes, *work.notes(), *([taken] if stolen >= _WORTH_TELLING else [])),
    )
    required = thresholds.checked(result, arguments.require, killing=killer is not None)
    return result.model_copy(update={"requirements": required})


def planned(arguments: argparse.Namespace) -> tuple[LoadPlan, tuple[str, ...]]:
    """And what the report's reader should know of it. Raises ValueError."""
    due_s = arrivals(arguments.arrivals, arguments.rate, arguments.peak, arguments.seconds, arguments.seed)
    if not due_s:
        raise ValueError(f"nobody would come: {_in_words(arguments)}")
    if len(due_s) > marks.PEOPLE:
        raise ValueError(f"more people than there are names for ({marks.PEOPLE}): {_in_words(arguments)}")
    knobs = ScenarioOptions(
        turns=arguments.turns,
        think_s=arguments.think,
        listen=arguments.listen,
        pages=arguments.pages,
        listeners=arguments.listeners,
        settings=arguments.settings,
    )
    names, scenarios, notes = cast(
        arguments.scenario, len(due_s), arguments.seed, knobs, arguments.recordings
    )
    plan = LoadPlan(
        due_s=due_s,
        names=names,
        scenarios=scenarios,
        seconds=arguments.seconds,
        grace_s=arguments.grace,
        most=arguments.most,
        seed=arguments.seed,
        patience_s=arguments.patience,
        compare=arguments.compare,
        keep=arguments.keep_sessions,
        tidy=arguments.arrivals == "soak",
        killing=arguments.kill_every is not None,
        from_arrival=arguments.from_arrival,
    )
    if (people := room(plan.most)) < min(plan.most, len(due_s)):
        notes += (f"This machine lets a process open files for about {people} people only (ulimit -n).",)
    return plan, notes


def _in_words(arguments: argparse.Namespace) -> str:
    peak = f" to {arguments.peak:g}/s" if arguments.arrivals in ("ramp", "spike") else ""
    return f"{arguments.arrivals}, {arguments.rate:g}/s{peak} for {arguments.seconds:g} s"


def _progress(arguments: argparse.Namespace, count: LoadProgress, at_s: float) -> None:
    words = (
        f"{at_s:6.0f} s  {count.inside} inside, {count.fine} fine, {count.refused} refused, "
        f"{count.failed} failed{'; reading the log again' if count.over else ''}"
    )
    say(arguments, f"\r{words:<{_COLUMNS}}")


def say(arguments: argparse.Namespace, words: str) -> None:
    """How far it is, unless that is not wanted."""
    if not arguments.quiet:
        sys.stderr.write(words)
        sys.stderr.flush()


def _publish(result: LoadResult, folder: Path, arguments: argparse.Namespace) -> None:
    report = folder / "load.html"
    (folder / "load.json").write_text(result.model_dump_json(indent=1), "utf-8")
    report.write_text(page(result), "utf-8")
    for one in result.requirements:
        if not one.kept:
            found = "no figures" if one.value is None else f"{one.value:g}"
            sys.stdout.write(f"NOT KEPT {one.wish} (found: {found})\n")
    sys.stdout.write(f"{report.resolve()}\n")
    sys.stdout.flush()
    if arguments.plots is not None:
        plotted(result.system, arguments.arrivals, arguments.plots)
    if arguments.keep and not result.stopped:
        keep(result)
    show(arguments, report)


def show(arguments: argparse.Namespace, report: Path) -> None:
    """Open a page in a browser, where one can show something here and that is wanted."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not arguments.quiet and (sys.platform == "darwin" or display):
        webbrowser.open(report.resolve().as_uri())
