"""`make bench-voice`: from the last sound of a question to the first of its answer, with real engines."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from loadtests.bench.rows.first_audio import settings_for
from loadtests.bench.voice import voice_tables
from loadtests.bench.voice.speech_interruptions import interruptions, rows
from loadtests.bench.voice.voice_conversation import (
    MAX_TOKENS,
    VoiceOutcome,
    VoiceScenario,
    direct,
    talk,
)
from loadtests.bench.voice.voice_soak import soak, soak_table
from loadtests.client import recorded_speech
from loadtests.report.command_line import command_parser, seconds
from loadtests.report.tables import heading, markdown, publish, say, table, table_of
from loadtests.servers.rhapsode_process import rhapsode
from schemas.settings.listening_settings import ListeningSettings

_EPILOG: Final = (
    "Times in the tables are milliseconds. A LENGTH is a number and its unit: ms, s, m (minutes) or h; "
    "without one it is seconds."
)


def voice_parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.listening and not arguments.trace:
        parser.error("--listening works only with --trace")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "make bench-voice ARGS=",
        "Measure the voice path and print what it costs.",
        *("--json", "--keep", "--key", "--cache"),
        epilog=_EPILOG,
    )
    add = parser.add_argument
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--trace", action="store_true", help="one caller, step by step; quick")
    kind.add_argument("--soak", metavar="LENGTH", type=seconds, help="one caller who speaks so long, as 30m")
    add("--listening", type=json.loads, default={}, metavar="JSON", help="only with --trace: how it listens")
    add("--turns", type=int, default=5, help="questions of each caller (default 5)")
    add("--callers", type=int, nargs="*", default=[1, 2, 4], help="at once (default 1 2 4)")
    add("--interruptions", type=int, default=8, help="answers spoken over (default 8)")
    add(
        "--url",
        help="a system that runs already, instead of one of our own; of its processes --soak has no figures "
        "(memory, files)",
    )
    return parser


_WARM_UP: Final = (
    "Before each scenario two callers warm it up with one question each, and the floor with one clip; "
    "their times are not in the tables, their failures are.\n"
)


def scenarios(callers: Sequence[int]) -> list[VoiceScenario]:
    """One caller in every mode, then more of them as delivered."""

    def ends(silence_ms: int) -> dict[str, Any]:
        return {"hint": False, "silence_ms": silence_ms}

    alone = [
        VoiceScenario(voice_tables.SILENCE_500, {"endpointing": ends(500)}),
        VoiceScenario(voice_tables.SILENCE_300, {"endpointing": ends(300)}),
        VoiceScenario("quality, 500 ms of silence, no hint", {"mode": "quality", "endpointing": ends(500)}),
        VoiceScenario("legacy, 500 ms of silence, no hint", {"mode": "legacy", "endpointing": ends(500)}),
    ]
    return alone + [VoiceScenario(voice_tables.DELIVERED, callers=number) for number in callers]


def main() -> None:
    """Measure the voice path and print what it costs."""
    arguments = voice_parsed()
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    if not recorded_speech.available():
        sys.exit("The recordings are missing: make system installs Debian's pocketsphinx-testdata.")
    with tempfile.TemporaryDirectory(prefix="rhapsode-voice-") as folder:
        home = None if arguments.url else Path(folder) / "real"
        with _system(home, arguments) as url:
            if arguments.trace:
                text, figures = asyncio.run(_trace(url, arguments))
            elif arguments.soak:
                text, figures = asyncio.run(_soak(url, home, arguments))
            else:
                text, figures = asyncio.run(_everything(url, arguments))
    report, command = heading("make bench-voice") + text, "make bench-voice"
    publish(report, command, keep=arguments.keep, figures=figures, file=arguments.json)


@contextmanager
def _system(home: Path | None, arguments: argparse.Namespace) -> Iterator[str]:
    if home is None:
        yield arguments.url
        return
    say("starting the system with its real engines")
    with rhapsode(home, cache=arguments.cache) as url:
        yield url


def _clips(turns: int) -> list[recorded_speech.Clip]:
    return (recorded_speech.librivox() * turns)[:turns]


async def _trace(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcome = await _measured(url, VoiceScenario("trace", arguments.listening), arguments.turns)
    return f"{_WARM_UP}\n{voice_tables.described(outcome)}", [asdict(trace) for trace in outcome.traces]


async def _soak(url: str, home: Path | None, arguments: argparse.Namespace) -> tuple[str, Any]:
    say(f"{arguments.soak:g} s of speech, in real time")
    found = await soak(url, home, arguments.soak)
    unseen = "" if home else " Of the system at --url there are no figures of memory and files."
    how = f"One caller speaks for {arguments.soak:g} s, in real time, without a warm-up.{unseen}"
    return f"{how}\n\n{soak_table(found)}", asdict(found)


async def _everything(url: str, arguments: argparse.Namespace) -> tuple[str, Any]:
    outcomes = [await _measured(url, each, arguments.turns) for each in scenarios(arguments.callers)]
    say(f"{arguments.interruptions} answers are spoken over")
    found, pings = await interruptions(url, recorded_speech.librivox(), arguments.interruptions)
    say("the same engines, one process")
    floor = await direct(settings_for(arguments.cache), _clips(arguments.turns), MAX_TOKENS)
    listening = ListeningSettings()
    parts = [
        f"Milliseconds after the true end of speech, p50 / p95. {_WARM_UP}",
        table_of([*map(voice_tables.outcome_row, outcomes), voice_tables.floor_row(floor)]),
        markdown(["target", "measured", "wanted", "verdict"], voice_tables.verdicts(outcomes)),
        table(rows(found, pings, listening.hold_ms, listening.interrupt_ms)),
        *(voice_tables.described(each) for each in outcomes if each.scenario.name == voice_tables.DELIVERED),
    ]
    figures = {each.scenario.name: [asdict(trace) for trace in each.traces] for each in outcomes}
    return "\n".join(parts), figures


async def _measured(url: str, scenario: VoiceScenario, turns: int) -> VoiceOutcome:
    say(f"{scenario.name}, callers: {scenario.callers}; warming up")
    warm_up = await talk(url, VoiceScenario("warm-up", scenario.listening, 2), _clips(1))  # of either gateway
    say(f"{scenario.name}, {turns} questions each")
    outcome = await talk(url, scenario, _clips(turns))
    failures = [*(f"warm-up, {failure}" for failure in warm_up.failures), *outcome.failures]
    return replace(outcome, failures=failures)
