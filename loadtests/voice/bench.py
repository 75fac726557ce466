"""`make bench-voice`: from the last sound of a question to the first of its answer, with real engines."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from loadtests import speech
from loadtests.figures import table
from loadtests.here import commit, machine, when
from loadtests.speech_rows import settings_for
from loadtests.target import rhapsode
from loadtests.voice import report
from loadtests.voice.floor import Direct, direct
from loadtests.voice.interrupting import interruptions, rows
from loadtests.voice.soak import soak, soak_table
from loadtests.voice.talk import MAX_TOKENS, Outcome, Scenario, talk
from pipeline.hearing.errors_in_words import altogether
from schemas.listening import ListeningSettings

_HISTORY: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
_MARK: Final = "<!-- newest first: `make bench-voice` writes below this line -->\n"
_CLIPS: Final = 5


def scenarios(callers: Sequence[int]) -> list[Scenario]:
    """One caller in every mode, then more of them as delivered."""

    def ends(silence_ms: int) -> dict[str, Any]:
        return {"hint": False, "silence_ms": silence_ms}

    alone = [
        Scenario(report.SILENCE_500, {"endpointing": ends(500)}),
        Scenario(report.SILENCE_300, {"endpointing": ends(300)}),
        Scenario("quality, 500 ms of silence, no hint", {"mode": "quality", "endpointing": ends(500)}),
        Scenario("legacy, 500 ms of silence, no hint", {"mode": "legacy", "endpointing": ends(500)}),
    ]
    return alone + [Scenario(report.DELIVERED, callers=number) for number in callers]


def main() -> None:
    """Measure the voice path and print what it costs."""
    arguments = _arguments()
    if not speech.available():
        sys.exit("The recordings are missing: make system installs Debian's pocketsphinx-testdata.")
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(prefix="rhapsode-voice-") as folder:
        home = None if arguments.url else Path(folder) / "real"
        with _system(home, arguments) as url:
            if arguments.trace:
                text, figures = asyncio.run(_trace(url, arguments))
            elif arguments.soak:
                text, figures = asyncio.run(_soak(url, home, arguments))
            else:
                text, figures = asyncio.run(_everything(url, arguments))
    _publish(text, figures, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-voice ARGS=", description=main.__doc__)
    parser.add_argument("--trace", action="store_true", help="one caller, step by step; quick")
    parser.add_argument("--listening", type=json.loads, default={}, help="settings of --trace, as JSON")
    parser.add_argument("--turns", type=int, default=_CLIPS, help="questions of each caller (default 5)")
    parser.add_argument("--callers", type=int, nargs="*", default=[1, 2, 4], help="at once (default 1 2 4)")
    parser.add_argument("--interruptions", type=int, default=8, help="answers spoken over (default 8)")
    parser.add_argument("--soak", metavar="30m", type=_seconds, help="one caller who speaks so long")
    parser.add_argument("--fast", action="store_true", help="--soak as fast as it goes")
    parser.add_argument("--url", help="a system that runs already, instead of one of our own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure into a file")
    parser.add_argument("--keep", action="store_true", help="write the tables into docs/measurements.md")
    parser.add_argument("--key", help="an API key, where the system asks for one")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights"
    )
    arguments = parser.parse_args()
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    return arguments


def _seconds(text: str) -> float:
    return float(text.rstrip("ms")) * (60 if text.endswith("m") else 1)


@contextmanager
def _system(home: Path | None, arguments: argparse.Namespace) -> Iterator[str]:
    if home is None:
        yield arguments.url
        return
    _say("starting the system with its real engines")
    with rhapsode(home, environment={"RHAPSODE_CACHE": str(arguments.cache)}, scripted=False) as url:
        yield url


def _clips(turns: int) -> list[speech.Clip]:
    return (speech.librivox() * turns)[:turns]


async def _trace(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcome = await _measured(url, Scenario("trace", arguments.listening), arguments.turns)
    return report.described(outcome), [trace.as_json() for trace in outcome.traces]


async def _soak(url: str, home: Path | None, arguments: argparse.Namespace) -> tuple[str, Any]:
    pace = "as fast as it goes" if arguments.fast else "in real time"
    _say(f"{arguments.soak:g} s of speech, {pace}")
    found = await soak(url, home, arguments.soak, fast=arguments.fast)
    return f"One caller speaks for {arguments.soak:g} s, {pace}.\n\n{soak_table(found)}", found.as_json()


async def _everything(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcomes = [await _measured(url, each, arguments.turns) for each in scenarios(arguments.callers)]
    _say(f"{arguments.interruptions} answers are spoken over")
    found, pings = await interruptions(url, speech.librivox(), arguments.interruptions)
    _say("the same engines, one process")
    floor = await direct(settings_for(arguments.cache), _clips(arguments.turns), MAX_TOKENS)
    listening = ListeningSettings()
    parts = [
        "Milliseconds after the true end of speech, p50 / p95.\n",
        report.markdown(report.OUTCOME_HEADINGS, [*map(report.outcome_row, outcomes), floor_row(floor)]),
        report.markdown(["target", "measured", "wanted", "verdict"], report.verdicts(outcomes)),
        table(rows(found, pings, listening.hold_ms, listening.interrupt_ms)),
        *(report.described(each) for each in outcomes if each.scenario.name == report.DELIVERED),
    ]
    figures = {each.scenario.name: [trace.as_json() for trace in each.traces] for each in outcomes}
    return "\n".join(parts), figures


async def _measured(url: str, scenario: Scenario, turns: int) -> Outcome:
    _say(f"{scenario.name}, callers: {scenario.callers}; warming up")
    await talk(url, Scenario("warm-up", scenario.listening, 2), _clips(1))  # of either gateway
    _say(f"{scenario.name}, {turns} questions each")
    return await talk(url, scenario, _clips(turns))


def floor_row(floor: Sequence[Direct]) -> list[str]:
    whole = [each.voice_to_voice(500) for each in floor]
    errors = report.rate(altogether(each.errors for each in floor))
    cells = ["floor: 500 ms, then the engines called directly", "1"]
    cells += [report.pair([500 + each.decode for each in floor]), report.pair(whole), report.pair(whole), ""]
    return [*cells, errors, "", str(len(floor))]


def _publish(text: str, figures: Any, arguments: argparse.Namespace) -> None:
    heading = f"### {when()}\n\n{machine()}; `make bench-voice`, commit {commit()}\n\n"
    print(heading + text)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1, default=str))
    if arguments.keep:
        before, mark, after = _HISTORY.read_text().partition(_MARK)
        _HISTORY.write_text(f"{before}{mark}\n{heading}{text.rstrip()}\n{after}")


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)
