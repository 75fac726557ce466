"""`make bench-voice`: from the last sound of a question to the first of its answer, with real engines."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests import speech
from loadtests.target import rhapsode
from loadtests.voice.report import OUTCOME_HEADINGS, markdown, outcome_row, steps_table
from loadtests.voice.talk import Outcome, Scenario, talk

NO_HINT = {"hint": False}
SCENARIOS = [
    Scenario("realtime, 500 ms of silence", {"endpointing": NO_HINT | {"silence_ms": 500}}),
    Scenario("realtime, 300 ms of silence", {"endpointing": NO_HINT | {"silence_ms": 300}}),
    Scenario("realtime, as delivered"),
    Scenario("quality, 500 ms of silence", {"mode": "quality", "endpointing": NO_HINT}),
    Scenario("legacy, 500 ms of silence", {"mode": "legacy", "endpointing": NO_HINT}),
    Scenario("realtime, as delivered", callers=2),
    Scenario("realtime, as delivered", callers=4),
]


def main() -> None:
    """Measure the voice path and print what it costs."""
    arguments = _arguments()
    if not speech.available():
        sys.exit("The recordings are missing: make system installs Debian's pocketsphinx-testdata.")
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(prefix="rhapsode-voice-") as folder, _system(folder, arguments) as url:
        if arguments.trace:
            asyncio.run(_trace(url, arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-voice ARGS=", description=main.__doc__)
    parser.add_argument("--trace", action="store_true", help="one caller, step by step; quick")
    parser.add_argument("--listening", type=json.loads, default={}, help="settings of --trace, as JSON")
    parser.add_argument("--turns", type=int, default=5, help="clips that each caller says (default 5)")
    parser.add_argument("--url", help="a system that runs already, instead of one of our own")
    parser.add_argument("--json", action="store_true", help="print every trace")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights"
    )
    return parser.parse_args()


@contextmanager
def _system(folder: str, arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.url:
        yield arguments.url
        return
    _say("starting the system with its real engines")
    environment = {"RHAPSODE_CACHE": str(arguments.cache)}
    with rhapsode(Path(folder) / "real", environment=environment, scripted=False) as url:
        yield url


async def _trace(url: str, arguments: argparse.Namespace) -> None:
    clips = (speech.librivox() * arguments.turns)[: arguments.turns]
    _say("warming up")
    await talk(url, Scenario("warm-up", arguments.listening), clips[:1])
    _say(f"{len(clips)} questions, one after the other")
    outcome = await talk(url, Scenario("trace", arguments.listening), clips)
    _show(outcome, arguments)


def _show(outcome: Outcome, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps([trace.as_json() for trace in outcome.traces], indent=1))
    for failure in outcome.failures:
        print(f"FAILED {failure}")
    if outcome.traces:
        print(steps_table(outcome.traces))
        print(markdown(OUTCOME_HEADINGS, [outcome_row(outcome)]))
        for trace in outcome.traces:
            print(
                f"{trace.clip[-8:]}: voice ended {trace.late_vad:+.0f} ms from the true end, "
                f"then {trace.waited} ms of silence; "
                f"decode {trace.decode:.0f} ms, CPU {trace.engine_cpu:.0f} ms; {trace.text!r}"
            )
    print(f"the caller's own frames left up to {max(outcome.late_ms, default=0):.1f} ms late")


def _say(what: str) -> None:
    print(f"... {what}", flush=True)
