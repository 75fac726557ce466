"""`make load-curve`: step by step, judge, report."""

import argparse
import asyncio
import sys
import tempfile
import webbrowser
from pathlib import Path

from loadtests.here import commit, machine, when
from loadtests.load import command
from loadtests.load.command import BROKEN, KEPT, STOPPED, WRONG
from loadtests.load.curve import judging
from loadtests.load.curve.arguments import parsed
from loadtests.load.curve.keeping import keep, table
from loadtests.load.curve.page import page, picture
from loadtests.load.curve.result import Curve
from loadtests.load.curve.running import run, seconds_of
from loadtests.load.door import Failed
from loadtests.load.result import Result


def main() -> int:
    """Exit code."""
    arguments = parsed()
    arguments.command = command.as_typed("make load-curve")
    folder = arguments.out or Path(tempfile.mkdtemp(prefix="rhapsode-curve-"))
    try:
        with command.system_of(arguments) as (url, home):
            results = asyncio.run(run(arguments, url, home))
    except (ValueError, Failed, RuntimeError) as error:
        sys.stderr.write(f"load-curve: {error}\n")
        return WRONG
    except KeyboardInterrupt:
        return STOPPED
    curve = judged(arguments, results)
    _publish(curve, folder, arguments)
    if curve.stopped or not results:
        return STOPPED
    return KEPT if all(one.kept for one in curve.verdicts) else BROKEN


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
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "curve.html"
    (folder / "curve.json").write_text(curve.model_dump_json(indent=1), "utf-8")
    (folder / "curve.svg").write_text(picture(curve), "utf-8")
    report.write_text(page(curve), "utf-8")
    sys.stdout.write(table(curve))
    if arguments.keep and not curve.stopped:
        keep(curve)
    sys.stdout.write(f"{report.resolve()}\n")
    if not arguments.quiet and command.has_display():
        webbrowser.open(report.resolve().as_uri())
