"""`make load-curve`: step by step, judge, report."""

import argparse
import asyncio
import sys
import webbrowser
from pathlib import Path

from loadtests.console import as_typed
from loadtests.here import commit, machine, when
from loadtests.load import command, places
from loadtests.load.command import BROKEN, KEPT, STOPPED, WRONG
from loadtests.load.curve import judging
from loadtests.load.curve.arguments import parsed
from loadtests.load.curve.keeping import DOCS, MARK, keep, table
from loadtests.load.curve.page import page, picture
from loadtests.load.curve.result import Curve
from loadtests.load.curve.running import Plans, planned, run, seconds_of
from loadtests.load.door import Failed
from loadtests.load.result import Result


def main() -> int:
    """Exit code."""
    arguments = parsed()
    arguments.command = as_typed("make load-curve")
    try:
        folder = places.folder(arguments.out, "rhapsode-curve-")
        if arguments.keep:
            places.place(DOCS / "measurements.md", MARK)
        plans = planned(arguments)
    except ValueError as error:
        return _wrong(error)
    results: list[Result] = []
    curve = None
    try:
        code = _run(arguments, plans, results)
    finally:  # whatever ended it: each step took its time
        if results:
            curve = judged(arguments, results)
            _publish(curve, folder, arguments)
    if code is not None:
        return code
    if curve is None or curve.stopped:
        return STOPPED
    return KEPT if all(one.kept for one in curve.verdicts) else BROKEN


def _run(arguments: argparse.Namespace, plans: Plans, results: list[Result]) -> int | None:
    """Adds each step's result as it is made. The exit code, where it came to no end of its own."""
    try:
        with command.system_of(arguments) as (url, home):
            asyncio.run(run(arguments, plans, url, home, results))
    except (ValueError, Failed, RuntimeError) as error:
        return _wrong(error)
    except KeyboardInterrupt:
        return STOPPED
    return None


def _wrong(error: Exception) -> int:
    sys.stderr.write(f"load-curve: {error}\n")
    return WRONG


def judged(arguments: argparse.Namespace, results: list[Result]) -> Curve:
    lengths = [seconds_of(number, arguments.seconds) for number in range(len(results))]
    found = judging.steps(arguments.rates[: len(results)], results, lengths)
    return Curve(
        when=when(),
        machine=machine(),
        commit=commit(),
        command=arguments.command,
        own_system=not arguments.url,
        scenario=arguments.scenario,
        seconds=arguments.seconds,
        stopped=len(results) < len(arguments.rates) or any(one.stopped for one in results),
        late=arguments.late,
        flat=arguments.flat,
        steps=found,
        verdicts=judging.verdicts(found, arguments.late, arguments.flat),
        whole=tuple(results),
    )


def _publish(curve: Curve, folder: Path, arguments: argparse.Namespace) -> None:
    report = folder / "curve.html"
    (folder / "curve.json").write_text(curve.model_dump_json(indent=1), "utf-8")
    (folder / "curve.svg").write_text(picture(curve), "utf-8")
    report.write_text(page(curve), "utf-8")
    sys.stdout.write(f"{table(curve)}{report.resolve()}\n")
    sys.stdout.flush()
    if arguments.keep and not curve.stopped:
        keep(curve)
    if not arguments.quiet and command.has_display():
        webbrowser.open(report.resolve().as_uri())
