"""`make load-curve`: more callers step by step, a verdict on each statement, and a report."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

import httpx

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.report import curve_page, tables
from loadtests.report.command_line import (
    OF_A_LOAD,
    checked,
    command_parser,
    number,
    rate,
    refuse_key,
    seconds,
)
from loadtests.report.curve_page import DOCS, MARK, LoadCurve, curve_table, keep, page, picture
from loadtests.report.load_result import LoadResult
from loadtests.report.tables import about, as_typed
from loadtests.runner import load_command
from loadtests.runner.load_command import BROKEN, KEPT, STOPPED, WRONG, parsed

RATES: Final = {
    "narrate": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
    "chat": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
}
"""Callers who come each second, step by step: from nearly idle to about twice what two cores take."""
_TEXT: Final = """\
three examples:
  make load-curve
      eight steps on a system of its own, with scripted engines: about seven minutes; opens the report
  make load-curve ARGS="--url http://127.0.0.1:8000 --scenario chat --rates 0.1/s,0.2/s,0.5/s,1/s"
      callers who ask one question after the other, on a system that runs
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


def curve_parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with 2 and words about what cannot be."""
    parser = command_parser(
        "make load-curve ARGS=",
        "More and more callers, step by step: what those heard who were let in, and who was not.",
        *OF_A_LOAD,
        epilog=_TEXT,
    )
    add = parser.add_argument
    add("--scenario", choices=list(RATES), default="narrate", help="what callers do; default narrate")
    each = "callers who come, of each step; the first is the measure"
    add("--rates", type=_rates, metavar="N/s,N/s", help=each)
    add("--for", dest="seconds", type=seconds, default=30.0, metavar="LENGTH", help="of a step; default 30")
    add("--pause", type=seconds, default=5.0, metavar="LENGTH", help="of calm before each step; default 5")
    add("--think", type=number, default=2.0, metavar="S", help="between two questions, about; default 2")
    add("--late", type=_factor, default=1.5, metavar="X", help="where load is felt; default 1.5")
    add("--flat", type=_factor, default=2.0, metavar="X", help="what is flat; default 2")
    add("--keep", action="store_true", help="write table and picture into docs/, on a quiet machine")
    add("--out", type=Path, metavar="FOLDER", help="of curve.json, curve.html, curve.svg; default: a new one")
    found = parser.parse_args(words)
    refuse_key(parser, found)
    found.rates = found.rates or RATES[found.scenario]
    return found


def _rates(text: str) -> tuple[float, ...]:
    found = tuple(rate(one) for one in text.split(","))
    if min(found) <= 0 or list(found) != sorted(set(found)):
        raise argparse.ArgumentTypeError(f"{text!r}: steps go up, from more than nobody: such as 1/s,2/s,4/s")
    return found


def _factor(text: str) -> float:
    return checked(text, float, lambda found: 1 < found < inf, "is no factor above 1")


_WARM_UP_PER_S: Final = 1.0
_WARM_UP_S: Final = 10.0
"""Connections, imports, and what the gateways take for usual."""
_REST_S: Final = 60.0
_GRACE_S: Final = 60.0
_COMPARE: Final = 50
_STOLEN: Final = 0.1
_TRIES: Final = 3
"""So often a step is made, while more than that part of the processors goes to other machines."""


def seconds_of(number: int, seconds: float) -> float:
    """The first step is twice as long: everything is compared with it."""
    return seconds * 2 if number == 0 else seconds


Plans = tuple[argparse.Namespace, ...]
"""Arguments of `make load`: of the warm-up, and of each step."""


def planned(arguments: argparse.Namespace) -> Plans:
    """All of it, before a system is started. Raises ValueError, and says which step cannot be."""
    warm_up = _told(arguments, _WARM_UP_PER_S, min(_WARM_UP_S, arguments.seconds), seed=0)
    warm_up.arrivals = "constant"  # at least one caller, however short it is
    load_command.planned(warm_up)
    steps = []
    for place, per_s in enumerate(arguments.rates):
        steps.append(
            _told(arguments, per_s, seconds_of(place, arguments.seconds), seed=arguments.seed + place)
        )
        try:
            load_command.planned(steps[-1])
        except ValueError as error:
            raise ValueError(f"step {place + 1} of {len(arguments.rates)}: {error}") from error
    return (warm_up, *steps)


async def run(
    arguments: argparse.Namespace, plans: Plans, url: str, home: Path | None, results: list[LoadResult]
) -> None:
    """Each step's result is added as soon as it is there. Raises ValueError, Failed, RuntimeError."""
    warm_up, *steps = plans
    async with ApiConnection(url, arguments.key) as connection:
        await connection.greet()
        load_command.say(arguments, "warming up\n")
        warm = await load_command.measured(warm_up, url, home)
        for number, step in enumerate(() if warm.stopped else steps, start=1):
            load_command.say(arguments, f"step {number} of {len(steps)}: {step.rate:g} people a second\n")
            results.append(await _fair(step, connection, url, home, arguments.pause))
            if results[-1].stopped:
                break


async def _fair(
    step: argparse.Namespace, connection: ApiConnection, url: str, home: Path | None, pause_s: float
) -> LoadResult:
    """Made again where much of the processor was taken away, late or not; the least disturbed one."""
    made: list[LoadResult] = []
    while not made or (made[-1].stolen > _STOLEN and len(made) < _TRIES):
        await _rest(connection, pause_s)
        made.append(await load_command.measured(step, url, home))
        if made[-1].stopped:
            return made[-1]
    return min(made, key=lambda each: each.stolen)


def _told(arguments: argparse.Namespace, per_s: float, seconds: float, *, seed: int) -> argparse.Namespace:
    """Arguments of `make load` for one step."""
    found = parsed([])
    for name in ("command", "url", "key", "scenario", "turns", "think", "processes", "quiet"):
        setattr(found, name, getattr(arguments, name))
    found.rate, found.seconds, found.seed = per_s, seconds, seed
    found.grace, found.compare, found.from_arrival = _GRACE_S, _COMPARE, True
    return found


async def _rest(connection: ApiConnection, pause_s: float) -> None:
    """Return when the system has said for so long that it takes more, or when that takes too long."""
    calm = 0
    try:
        async with asyncio.timeout(_REST_S):
            while calm < pause_s:
                await asyncio.sleep(1)
                try:
                    ready = (await connection.page("/v1/ready")).status_code == httpx.codes.OK
                except Failed:
                    ready = False
                calm = calm + 1 if ready else 0
    except TimeoutError:
        return


def curve_main() -> int:
    """Exit code."""
    arguments = curve_parsed()
    arguments.command = as_typed("make load-curve")
    try:
        folder = tables.folder(arguments.out, "rhapsode-curve-")
        if arguments.keep:
            tables.place(DOCS / "measurements.md", MARK)
        plans = planned(arguments)
    except ValueError as error:
        return _wrong(error)
    results: list[LoadResult] = []
    curve = None
    try:
        code = _run(arguments, plans, results)
    finally:  # after any end: each step took its time
        if results:
            curve = judged(arguments, results)
            _publish(curve, folder, arguments)
    if code is not None:
        return code
    if curve is None or curve.stopped:
        return STOPPED
    return KEPT if all(one.kept for one in curve.verdicts) else BROKEN


def _run(arguments: argparse.Namespace, plans: Plans, results: list[LoadResult]) -> int | None:
    """Adds each step's result as it is made. The exit code, where it came to no end of its own."""
    try:
        with load_command.system_of(arguments) as (url, home):
            asyncio.run(run(arguments, plans, url, home, results))
    except (ValueError, Failed, RuntimeError) as error:
        return _wrong(error)
    except KeyboardInterrupt:
        return STOPPED
    return None


def _wrong(error: Exception) -> int:
    sys.stderr.write(f"load-curve: {error}\n")
    return WRONG


def judged(arguments: argparse.Namespace, results: list[LoadResult]) -> LoadCurve:
    lengths = [seconds_of(number, arguments.seconds) for number in range(len(results))]
    found = curve_page.steps(arguments.rates[: len(results)], results, lengths)
    return LoadCurve(
        **about(),
        command=arguments.command,
        own_system=not arguments.url,
        scenario=arguments.scenario,
        seconds=arguments.seconds,
        stopped=len(results) < len(arguments.rates) or any(one.stopped for one in results),
        late=arguments.late,
        flat=arguments.flat,
        steps=found,
        verdicts=curve_page.verdicts(found, arguments.late, arguments.flat),
        whole=tuple(results),
    )


def _publish(curve: LoadCurve, folder: Path, arguments: argparse.Namespace) -> None:
    report = folder / "curve.html"
    (folder / "curve.json").write_text(curve.model_dump_json(indent=1), "utf-8")
    (folder / "curve.svg").write_text(picture(curve), "utf-8")
    report.write_text(page(curve), "utf-8")
    sys.stdout.write(f"{curve_table(curve)}{report.resolve()}\n")
    sys.stdout.flush()
    if arguments.keep and not curve.stopped:
        keep(curve)
    load_command.show(arguments, report)
