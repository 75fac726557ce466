"""`make bench-voice`: from the last sound of a question to the first of its answer, with real engines."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loadtests import speech
from loadtests.console import say
from loadtests.figures import table
from loadtests.here import commit, machine, when
from loadtests.speech_rows import settings_for
from loadtests.target import rhapsode
from loadtests.voice import report
from loadtests.voice.arguments import parsed
from loadtests.voice.floor import Direct, direct
from loadtests.voice.interrupting import interruptions, rows
from loadtests.voice.soak import soak, soak_table
from loadtests.voice.talk import MAX_TOKENS, Outcome, Scenario, talk
from pipeline.stt.evaluation.word_error_rate import altogether
from schemas.settings.listening_settings import ListeningSettings

_HISTORY: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
_MARK: Final = "<!-- newest first: `make bench-voice` writes below this line -->\n"
_WARM_UP: Final = (
    "Before each scenario two callers warm it up with one question each, and the floor with one clip; "
    "their times are not in the tables, their failures are.\n"
)


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
    arguments = parsed()
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
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


@contextmanager
def _system(home: Path | None, arguments: argparse.Namespace) -> Iterator[str]:
    if home is None:
        yield arguments.url
        return
    say("starting the system with its real engines")
    with rhapsode(home, environment={"RHAPSODE_CACHE": str(arguments.cache)}, scripted=False) as url:
        yield url


def _clips(turns: int) -> list[speech.Clip]:
    return (speech.librivox() * turns)[:turns]


async def _trace(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcome = await _measured(url, Scenario("trace", arguments.listening), arguments.turns)
    return f"{_WARM_UP}\n{report.described(outcome)}", [trace.as_json() for trace in outcome.traces]


async def _soak(url: str, home: Path | None, arguments: argparse.Namespace) -> tuple[str, Any]:
    pace = "as fast as it goes" if arguments.fast else "in real time"
    say(f"{arguments.soak:g} s of speech, {pace}")
    found = await soak(url, home, arguments.soak, fast=arguments.fast)
    unseen = "" if home else " Of the system at --url there are no figures of memory and files."
    heading = f"One caller speaks for {arguments.soak:g} s, {pace}, without a warm-up.{unseen}"
    return f"{heading}\n\n{soak_table(found)}", found.as_json()


async def _everything(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcomes = [await _measured(url, each, arguments.turns) for each in scenarios(arguments.callers)]
    say(f"{arguments.interruptions} answers are spoken over")
    found, pings = await interruptions(url, speech.librivox(), arguments.interruptions)
    say("the same engines, one process")
    floor = await direct(settings_for(arguments.cache), _clips(arguments.turns), MAX_TOKENS)
    listening = ListeningSettings()
    parts = [
        f"Milliseconds after the true end of speech, p50 / p95. {_WARM_UP}",
        report.markdown(report.OUTCOME_HEADINGS, [*map(report.outcome_row, outcomes), floor_row(floor)]),
        report.markdown(["target", "measured", "wanted", "verdict"], report.verdicts(outcomes)),
        table(rows(found, pings, listening.hold_ms, listening.interrupt_ms)),
        *(report.described(each) for each in outcomes if each.scenario.name == report.DELIVERED),
    ]
    figures = {each.scenario.name: [trace.as_json() for trace in each.traces] for each in outcomes}
    return "\n".join(parts), figures


async def _measured(url: str, scenario: Scenario, turns: int) -> Outcome:
    say(f"{scenario.name}, callers: {scenario.callers}; warming up")
    warm_up = await talk(url, Scenario("warm-up", scenario.listening, 2), _clips(1))  # of either gateway
    say(f"{scenario.name}, {turns} questions each")
    outcome = await talk(url, scenario, _clips(turns))
    failures = [*(f"warm-up, {failure}" for failure in warm_up.failures), *outcome.failures]
    return replace(outcome, failures=failures)


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
