"""`make race`: ours and the peers on the same engines, in turns, heard by one client that is none of them."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from loadtests.client import recorded_speech
from loadtests.peers import laps
from loadtests.peers.contestants import FAILURES, Contestant, PeerContestant, RhapsodeContestant
from loadtests.peers.laps import Race, figures, sessions_table
from loadtests.peers.peer_servers import EngineServices, peer, services, there_are_peers, there_is_realtimetts
from loadtests.peers.session_climb import ClimbStep, Talk, climb, peer_talk, rhapsode_talk
from loadtests.report.command_line import command_parser
from loadtests.report.tables import as_typed, first, heading, publish, say
from loadtests.servers.rhapsode_process import rhapsode, written

_ROWS: Final = ("typed", "spoken", "read", "sessions")
_SYSTEM_PROMPT: Final = "You are a warm storyteller and a helpful assistant. Answer in plain, flowing prose."
_BOX: Final = {"llm_provider": "box", "tts_provider": "box", "listening": {"provider": "box"}}
_PEERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "Pipecat": ("pipecat", {"aggregation": "sentence"}),
    "Pipecat, TOKEN": ("pipecat", {"aggregation": "token"}),
    "LiveKit Agents": ("livekit", {"tuned": False}),
    "LiveKit Agents, tuned": ("livekit", {"tuned": True}),
    "RealtimeTTS": ("realtimetts", {}),
}
_READERS: Final = ("Pipecat", "LiveKit Agents", "RealtimeTTS")
_COUNTS: Final = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 200)
_REPLY: Final = "An old keeper lived in a lighthouse at the edge of the sea. Every evening he lit the lamp."
_SCRIPTS: Final[Mapping[str, dict[str, Any]]] = {
    "language_model": {"reply": _REPLY, "first_delta_ms": 120, "per_delta_ms": 20, "delta_chars": 5},
    "text_to_speech": {"first_chunk_ms": 80, "per_chunk_ms": 40, "ms_per_char": 40},
    "speech_to_text": {},
}
"""Of engines that cost nothing: 50 tokens and six seconds of speech in a second."""


def main() -> None:
    """Race, print the tables, and with --keep put them into docs/measurements.md."""
    arguments = _arguments()
    if not there_are_peers():
        sys.exit('The peers\' environment is not made: "make env-peers".')
    races: list[Race] = []
    climbs: dict[str, list[ClimbStep]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="rhapsode-race-") as name:
            if set(arguments.rows) & {"typed", "spoken", "read"}:
                _real(Path(name) / "real", arguments, races)
            if "sessions" in arguments.rows:
                _scripted(Path(name) / "scripted", arguments, climbs)
    except (*FAILURES, ExceptionGroup) as error:
        sys.exit(f"Not all of it could be raced: {first(error)}")
    finally:
        if races or climbs:
            _publish(races, climbs, arguments)


def _arguments() -> argparse.Namespace:
    parser = command_parser("make race ARGS=", main.__doc__, "--json", "--keep", "--cache")
    add = parser.add_argument
    add("--rows", nargs="+", choices=_ROWS, default=_ROWS, help="which (default: all)")
    add("--laps", type=int, default=15, help="questions to everybody (default 15)")
    add("--seconds", type=float, default=12.0, help="of each number of sessions (default 12)")
    return parser.parse_args()


def _wish(engines: EngineServices, max_tokens: int) -> dict[str, Any]:
    return {**engines.urls, "system_prompt": _SYSTEM_PROMPT, "max_tokens": max_tokens}


def _settings(max_tokens: int) -> dict[str, Any]:
    return {"system_prompt": _SYSTEM_PROMPT, "max_tokens": max_tokens, "temperature": 0.0}


def _real(folder: Path, arguments: argparse.Namespace, races: list[Race]) -> None:
    """With Whisper, SmolLM2 and Piper; `races` grows."""
    with _everybody(folder, arguments) as (engines, ours, peers):
        talkers = [*ours, *(peers[name] for name in peers if name != "RealtimeTTS")]
        if "typed" in arguments.rows:
            say("typed questions")
            taken = asyncio.run(laps.laps(talkers, arguments.laps, laps.typed, engines))
            races.append(Race("a typed question to first sound", taken, 0.6))
        if "spoken" in arguments.rows:
            say("spoken questions")
            clips = recorded_speech.librivox()
            # Read word by word, what Pipecat says differs, but not how it listens: once is enough.
            heard = [each for each in talkers if "TOKEN" not in each.name]
            taken = asyncio.run(laps.laps(heard, arguments.laps, laps.spoken(clips), engines))
            races.append(Race("a spoken question to first sound", taken, 0.8))
        if "read" in arguments.rows:
            say("texts read out")
            readers = [*ours, *(peers[name] for name in _READERS if name in peers)]
            taken = asyncio.run(laps.laps(readers, arguments.laps, laps.read, engines))
            races.append(Race("a text to first sound", taken, 0.6))


@contextmanager
def _everybody(
    folder: Path, arguments: argparse.Namespace
) -> Iterator[tuple[EngineServices, list[Contestant], dict[str, Contestant]]]:
    tokens = 40
    with ExitStack() as stack:
        say("starting the engines as services")
        engines = stack.enter_context(services(folder, {"cache": str(arguments.cache)}))
        peers: dict[str, Contestant] = {}
        for name, (system, options) in _PEERS.items():
            if system == "realtimetts" and not there_is_realtimetts():
                say(f"{name} is left out: its environment was made without PortAudio")
                continue
            say(f"starting {name}")
            url = stack.enter_context(peer(folder, system, _wish(engines, tokens) | options))
            peers[name] = PeerContestant(name, url)
        say("starting Rhapsode")
        ours_at = rhapsode(folder / "ours", cache=arguments.cache, environment=engines.environment())
        url = stack.enter_context(ours_at)
        ours: list[Contestant] = [
            RhapsodeContestant("Rhapsode, its own engines", url, _settings(tokens)),
            RhapsodeContestant("Rhapsode, the services", url, _settings(tokens) | _BOX),
        ]
        yield engines, ours, peers


def _scripted(folder: Path, arguments: argparse.Namespace, climbs: dict[str, list[ClimbStep]]) -> None:
    """With engines that cost nothing, one system after the other: each has both cores. `climbs` grows."""
    scripts = written(_SCRIPTS, folder)
    engines_as = {kind: {"engine": "scripted", "script": str(path)} for kind, path in scripts.items()}

    def run(name: str, talk: Talk) -> None:
        say(f"{name}: more and more sessions")
        climbs[name] = asyncio.run(climb(talk, _COUNTS, arguments.seconds))
        for each in climbs[name]:
            say(f"{name}: {each.sessions}: p95 {each.p95:.0f} ms, {each.failures} failed")

    with services(folder, {"cache": str(arguments.cache), **engines_as}) as engines:
        for name in ("Pipecat", "LiveKit Agents"):
            system, options = _PEERS[name]
            with ExitStack() as stack:
                wish = _wish(engines, 1_000) | options
                urls = [stack.enter_context(peer(folder, system, wish)) for _ in range(2)]
                run(name, peer_talk(urls))
        with rhapsode(folder / "ours", scripts=_SCRIPTS, environment=engines.environment()) as url:
            run("Rhapsode, its own engines", rhapsode_talk(url, _settings(1_000)))
            run("Rhapsode, the services", rhapsode_talk(url, _settings(1_000) | _BOX))


def _publish(
    races: Sequence[Race], climbs: Mapping[str, Sequence[ClimbStep]], arguments: argparse.Namespace
) -> None:
    parts = [f"**{race.name}**\n\n{race.table()}\n{race.stages_table()}" for race in races]
    if climbs:
        parts.append(f"**sessions on this machine, scripted engines**\n\n{sessions_table(climbs, 3.0)}")
    without = "" if there_is_realtimetts() else ". RealtimeTTS is left out: there is no PortAudio here"
    report = heading(as_typed("make race"), without) + "\n".join(parts)
    publish(report, "make race", keep=arguments.keep, figures=figures(races, climbs), file=arguments.json)
