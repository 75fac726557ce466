"""`python -m loadtests.gpu`: measure a system on this machine's card, or what there is, at several sizes."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from loadtests import speech
from loadtests.console import say
from loadtests.costs.bare import bare_gateway
from loadtests.gpu import rows, weights, whisper_shape
from loadtests.gpu.arguments import parsed
from loadtests.gpu.needs import bare_settings, cards, environment, missing, profile
from loadtests.gpu.report import report
from loadtests.gpu.rows import Row
from loadtests.here import commit, machine, when
from loadtests.target import rhapsode
from pipeline.engines.stt.whisper_weights import whisper_files

_HISTORY: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
_MARK: Final = "<!-- newest first: `python -m loadtests.gpu --keep` writes below this line -->\n"


def main() -> None:
    """Say what is missing, or measure."""
    arguments = parsed()
    if lacking := missing(arguments):
        sys.exit("This cannot be measured here yet:\n" + "\n".join(f"* {line}" for line in lacking))
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    with (
        tempfile.TemporaryDirectory(prefix="rhapsode-gpu-") as folder,
        _system(Path(folder), arguments) as url,
    ):
        found = asyncio.run(measure(url, arguments))
    text = f"### {when()}\n\n{_where()}; `{_command()}`, commit {commit()}\n\n{report(found, arguments)}"
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in found], indent=1))
    if arguments.keep:
        before, mark, after = _HISTORY.read_text().partition(_MARK)
        _HISTORY.write_text(f"{before}{mark}\n{text.rstrip()}\n{after}")


@contextmanager
def _system(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The one at --url, or one of our own with the wished engines."""
    if arguments.url:
        yield arguments.url.rstrip("/")
        return
    model = _model(arguments)
    ear = _ear_model(arguments)
    say(f"starting the system: {arguments.engine}, {arguments.voice}, {arguments.ear}")
    if arguments.without_ray:
        with bare_gateway(bare_settings(arguments, folder / "home")) as url:
            yield url
        return
    variables = environment(arguments, model, ear)
    with rhapsode(folder / "home", environment=variables, scripted=False, config=profile(arguments)) as url:
        yield url


def _model(arguments: argparse.Namespace) -> Path | None:
    if not arguments.model:
        return None
    kind, _, shape = arguments.model.partition(":")
    return weights.prepare(shape, arguments.cache, say) if kind == "random" else Path(arguments.model)


def _ear_model(arguments: argparse.Namespace) -> Path | None:
    if not arguments.ear_model:
        return None
    kind, _, shape = arguments.ear_model.partition(":")
    if kind != "random":
        return Path(arguments.ear_model)
    like = whisper_files(None, arguments.cache).folder  # large-v2 has the same words
    return whisper_shape.prepare(shape, like, arguments.cache, say)


async def measure(url: str, arguments: argparse.Namespace) -> list[Row]:
    """Every step at every size, the smallest first; once before to warm up."""
    clips = speech.librivox() if speech.available() else await rows.own_speech(url)
    say("warming up")
    await rows.whole(url, 2, 1, 16)
    found: list[Row] = []
    for sessions in arguments.sessions:
        for step in arguments.steps:
            say(f"{step}, {sessions} at once")
            found.append(await _step(step, url, sessions, clips, arguments))
    return found


async def _step(
    step: str, url: str, sessions: int, clips: Sequence[speech.Clip], arguments: argparse.Namespace
) -> Row:
    match step:
        case "words":
            return await rows.words(url, sessions, arguments.turns, arguments.tokens)
        case "voice":
            return await rows.voice(url, sessions, arguments.turns)
        case "whole":
            return await rows.whole(url, sessions, arguments.turns, arguments.tokens)
        case "ears":
            return await rows.ears(url, sessions, arguments.turns, clips)
        case _:
            mode = "quality" if arguments.ear == "whisperx" else "realtime"
            return await rows.calls(url, sessions, clips[: arguments.turns], mode)


def _where() -> str:
    here = machine()
    found = cards()
    return here.replace("no GPU used", ", ".join(card.name for card in found)) if found else here


def _command() -> str:
    return " ".join(["python -m loadtests.gpu", *sys.argv[1:]])
