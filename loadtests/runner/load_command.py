"""`make load`: plan, run, judge, report."""

import argparse
import asyncio
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from loadtests.client import marks
from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.report import result_store, thresholds
from loadtests.report.load_page import page
from loadtests.report.load_result import LoadResult
from loadtests.report.load_tables import MARK, TABLES, keep, plotted
from loadtests.report.run_info import as_typed, commit, machine, thefts, when
from loadtests.runner.arrival_times import arrivals
from loadtests.runner.load_arguments import parsed
from loadtests.runner.load_run import LoadRun, interruptible
from loadtests.runner.open_loop import LoadPlan, LoadProgress
from loadtests.runner.process_killer import ProcessKiller, schedule
from loadtests.runner.system_probe import SystemProbe
from loadtests.runner.worker_pool import room
from loadtests.scenarios import cast
from loadtests.scenarios.scenario import ScenarioOptions
from loadtests.servers.rhapsode_process import own

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
    folder = result_store.folder(arguments.out, "rhapsode-load-")
    if arguments.plots is not None:
        result_store.folder(arguments.plots, "")
    if arguments.keep:
        result_store.place(TABLES, MARK)
    return folder


@contextmanager
def system_of(arguments: argparse.Namespace) -> Iterator[tuple[str, Path | None]]:
    """The address of the one that runs, or of one of its own, with its home."""
    if arguments.url:
        yield arguments.url, None
        return
    say(arguments, "starting a system with scripted engines\n")
    with tempfile.TemporaryDirectory(prefix="rhapsode-load-own-") as made, own(Path(made)) as url:
        yield url, Path(made) / "home"


async def measured(arguments: argparse.Namespace, url: str, home: Path | None) -> LoadResult:
    """Raises ValueError where the plan cannot be, Failed where nobody answers at `url`."""
    connection = ApiConnection(url, arguments.key)
    try:
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
    finally:
        await connection.aclose()
    about = {
        "when": when(),
        "machine": machine(),
        "commit": commit(),
        "url": url,
        "own_system": home is not None,
        "command": arguments.command,
        "scenario": arguments.scenario,
        "arrivals": _in_words(arguments),
        "seed": arguments.seed,
        "stolen": stolen,
    }
    result = LoadResult(**about, **work.figures(), notes=(*notes, *work.notes(), *_taken(stolen)))
    required = thresholds.checked(result, arguments.require, killing=killer is not None)
    return result.model_copy(update={"requirements": required})


def _taken(stolen: float) -> Iterator[str]:
    if stolen >= _WORTH_TELLING:
        yield f"Other machines on the same hardware had {stolen:.0%} of the processors meanwhile."


def planned(arguments: argparse.Namespace) -> tuple[LoadPlan, tuple[str, ...]]:
    """And what the report's reader should know of it. Raises ValueError."""
    coming = arrivals(arguments.arrivals, arguments.rate, arguments.peak, arguments.seconds, arguments.seed)
    due_s = list(islice(coming, marks.PEOPLE + 1))
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
