"""`make bench`: every latency budget of the design against its floor, in one run, as one table."""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from loadtests import append_cost
from loadtests.console import say
from loadtests.figures import Row, table
from loadtests.here import commit, machine, when
from loadtests.speech_rows import first_audio_row, settings_for
from loadtests.stream_rows import SCRIPT, delta_row, resume_row, stop_row
from loadtests.target import bare_stream, rhapsode

_HISTORY = Path(__file__).resolve().parent.parent / "docs" / "measurements.md"
_MARK = "<!-- newest first: `make bench` writes below this line -->\n"


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/measurements.md."""
    arguments = _arguments()
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(prefix="rhapsode-bench-") as folder:
        rows = [*_real_engines(Path(folder), arguments), *_scripted(Path(folder), arguments)]
    say("append cost")
    rows.append(_append_row())
    report = f"## {when()}\n\n{machine()}; `make bench`, commit {commit()}\n\n{table(rows)}"
    print(report)
    if arguments.keep:
        before, mark, after = _HISTORY.read_text().partition(_MARK)
        _HISTORY.write_text(f"{before}{mark}\n{report}{after}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="runs of each pair (default 20)")
    parser.add_argument("--keep", action="store_true", help="write the table into docs/measurements.md")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights"
    )
    parser.add_argument("--key", help="an API key, where the servers under test ask for one")
    arguments = parser.parse_args()
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    return arguments


def _real_engines(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    say("starting the system with its real engines")
    environment = {"RHAPSODE_CACHE": str(arguments.cache)}
    with rhapsode(folder / "real", environment=environment, scripted=False) as url:
        say(f"time to first audio, {arguments.rounds} pairs")
        settings = settings_for(arguments.cache)
        return [_run(lambda: first_audio_row(url, settings, arguments.rounds))]


def _scripted(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    say("starting the system with scripted engines")
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT))
    environment = {"RHAPSODE_LANGUAGE_MODEL__SCRIPT": str(script)}
    with rhapsode(folder / "scripted", environment=environment, scripted=True) as url:
        with bare_stream(folder, SCRIPT) as floor_url:
            say("deltas")
            rows = [_run(lambda: delta_row(url, floor_url))]
        say("resume and stop")
        rows.append(_run(lambda: resume_row(url, arguments.rounds * 2)))
        rows.append(_run(lambda: stop_row(url, arguments.rounds * 2)))
        return rows


def _append_row() -> Row:
    figures = append_cost.measure()
    return Row(
        "append + push, server CPU per event, batches of 4",
        "us",
        ours=[ours for _, ours in figures["rounds"]],
        floor=[plain for plain, _ in figures["rounds"]],
        floor_name="pipelined plain XADD",
        budget=f"<= {figures['budget']}x at p50",
        kept=figures["within_budget"],
        note=f"ratio within a round {figures['ratio']['p50']} / {figures['ratio']['p95']}",
    )


def _run(measure: Callable[[], Awaitable[Row]]) -> Row:
    async def alone() -> Row:
        return await measure()

    return asyncio.run(alone())
