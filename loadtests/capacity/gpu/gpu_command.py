"""`python -m loadtests gpu`: measure a system on this machine's card, or what there is, at several sizes."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from loadtests.capacity.gpu import gpu_rows, random_llama, random_whisper
from loadtests.capacity.gpu.gpu_rows import GpuRow
from loadtests.client import recorded_speech
from loadtests.report.command_line import command_parser, numbers
from loadtests.report.tables import ROOT, as_typed, heading, machine, publish, say, spread, table_of
from loadtests.servers.rhapsode_process import rhapsode
from pipeline.engines.stt.whisper_weights import whisper_files

ENGINES: Final = ("llama", "vllm", "scripted")
VOICES: Final = ("piper", "coqui", "scripted")
SPEECH_TO_TEXT_ENGINES: Final = ("whisper", "whisperx", "scripted")
STEPS: Final = {
    "words": "answers as text",
    "voice": "texts read aloud",
    "whole": "answers heard to their end",
    "transcriptions": "recordings written down",
    "calls": "voice to voice",
}
_RENAMED: Final = {"ears": "transcriptions"}
"""Steps by their names until 2026-11."""
_EPILOG: Final = (
    "Random weights (random:8b) are made on the spot: they have the speed and memory of such a model, and "
    "write made-up words. Nothing is downloaded. For a card: --engine vllm --model random:8b "
    "--voice coqui --speech-to-text whisperx --speech-to-text-model random:large-v2, after "
    "make env-vllm env-speech-gpu."
)


def gpu_parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = command_parser(
        "python -m loadtests gpu",
        "First sound, voice to voice and sessions per card, at several numbers of sessions.",
        *("--keep", "--json", "--key", "--cache"),
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--sessions", type=numbers, default=(1, 4, 16, 64), metavar="N,N", help="default 1,4,16,64")
    add("--engine", choices=ENGINES, default="llama", help="who writes (default llama)")
    _add_model(parser, "--model", shapes=random_llama.SHAPES)
    add("--voice", choices=VOICES, default="piper", help="who speaks (default piper)")
    add(
        "--speech-to-text",
        "--ear",  # its name until 2026-11
        choices=SPEECH_TO_TEXT_ENGINES,
        default="whisper",
        help="the transcribing engine (default whisper)",
    )
    _add_model(parser, "--speech-to-text-model", "--ear-model", shapes=random_whisper.SHAPES)
    add("--config", type=Path, help="a profile, as cluster/gpu.yaml; the engines above win over it")
    add("--url", help="a system that runs already: nothing is started, and the engines are what they are")
    add("--steps", nargs="+", type=_step_name, choices=STEPS, default=tuple(STEPS), help="default: all")
    add("--tokens", type=int, default=120, help="of an answer, at most (default 120)")
    add("--turns", type=int, default=3, help="questions of each session (default 3)")
    add("--target-ms", type=float, default=1_000.0, help="of first audio, kept by p95 (default 1000)")
    add("--cpu", action="store_true", help="engines for a card may run without one")
    return parser.parse_args(words)


def _step_name(name: str) -> str:
    return _RENAMED.get(name, name)


def _add_model(parser: argparse.ArgumentParser, *options: str, shapes: Mapping[str, object]) -> None:
    there_are = ", ".join(shapes)

    def known(text: str) -> str:
        kind, _, shape = text.partition(":")
        if kind == "random" and shape not in shapes:
            raise argparse.ArgumentTypeError(f"there is no shape {shape!r}; there are: {there_are}")
        if kind != "random" and not Path(text).is_dir():
            raise argparse.ArgumentTypeError(f"there is no folder {text}")
        return text

    parser.add_argument(*options, type=known, metavar="FOLDER|random:SHAPE", help=f"shapes: {there_are}")


_MAKES: Final[Mapping[str, tuple[str, str]]] = {
    "vllm": (".venv-vllm", "make env-vllm"),
    "coqui": (".venv-speech", "make env-speech-gpu"),
    "whisperx": (".venv-speech", "make env-speech-gpu"),
}
"""Engines for a card: their environment, and what makes it."""


def cards() -> list[str]:
    """Names of the cards that nvidia-smi sees; none without it."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [] if done.returncode else done.stdout.splitlines()


def missing(arguments: argparse.Namespace, root: Path = ROOT) -> Iterator[str]:
    """One line for each thing that has to be there first."""
    if arguments.url:
        return
    wished = [one for one in (arguments.engine, arguments.voice, arguments.speech_to_text) if one in _MAKES]
    if wished and not arguments.cpu and not cards():
        engines = ", ".join(sorted(wished))
        yield f"{engines}: no graphics card is seen (nvidia-smi). --cpu lets them run without one, slowly."
    for engine in wished:
        folder, target = _MAKES[engine]
        if not (root / folder / "bin" / "python").exists():
            yield f"{engine}: its environment {folder} is not there. Make it: {target}"
    if (arguments.model or "").startswith("random:") and arguments.engine != "vllm":
        yield "--model random: only engines that load a folder of safetensors take it."
    if arguments.engine == "llama" and arguments.model:
        yield "--model: llama takes no folder. Name a GGUF file by RHAPSODE_LANGUAGE_MODEL__MODEL_PATH."


def environment(
    arguments: argparse.Namespace, model: Path | None, transcriber: Path | None
) -> dict[str, str]:
    """The variables that make the wished engines those of a system that is started."""
    chosen = {
        "LANGUAGE_MODEL__ENGINE": arguments.engine,
        "TEXT_TO_SPEECH__ENGINE": arguments.voice,
        "QUALITY_SPEECH_TO_TEXT__ENGINE": arguments.speech_to_text,
        "SPEECH_TO_TEXT__ENGINE": "scripted" if arguments.speech_to_text == "scripted" else "whisper",
        "CACHE": str(arguments.cache),
    }
    if model is not None:
        chosen["LANGUAGE_MODEL__MODEL"] = str(model)
    if transcriber is not None:
        chosen["QUALITY_SPEECH_TO_TEXT__MODEL"] = str(transcriber)
    if cards() and not arguments.cpu:
        if arguments.speech_to_text == "whisperx":
            chosen["QUALITY_SPEECH_TO_TEXT__DEVICE"] = "cuda"
            chosen["QUALITY_SPEECH_TO_TEXT__COMPUTE_TYPE"] = "float16"
        if arguments.voice != "scripted":
            chosen["TEXT_TO_SPEECH__DEVICE"] = "cuda"
    return {f"RHAPSODE_{name}": value for name, value in chosen.items()}


def profile(arguments: argparse.Namespace, root: Path = ROOT) -> Path | None:
    """The file that says what runs where; None: the one that comes along."""
    return arguments.config or (root / "cluster" / "gpu.yaml" if cards() else None)


def report(rows: Sequence[GpuRow], arguments: argparse.Namespace) -> str:
    """Milliseconds, p50 / p95."""
    table = table_of(map(_cells, rows))
    engines = (
        f"at {arguments.url}"
        if arguments.url
        else f"{arguments.engine} ({arguments.model or 'packaged'}), {arguments.voice}, "
        f"{arguments.speech_to_text} ({arguments.speech_to_text_model or 'packaged'})"
    )
    said = ""
    if "random:" in f"{arguments.model} {arguments.speech_to_text_model}":
        said = " Weights are random: speed and memory are those of the shape, words are made up."
    return (
        f"Engines: {engines}.{said} Answers of at most {arguments.tokens} tokens, {arguments.turns} each. "
        f"Milliseconds, p50 / p95.\n\n{table}\n{carried(rows, arguments.target_ms)}\n"
    )


def _cells(row: GpuRow) -> dict[str, str]:
    return {
        "what": STEPS[row.step],
        "sessions": str(row.sessions),
        "first words": spread(row.ttft),
        "first sound": spread(row.first_sound),
        "all together, a second": f"{row.per_s:.1f} {row.unit}" if row.per_s is not None else "-",
        "fell silent": f"{row.stalled:.0%}" if row.stalled is not None else "-",
        "failed": str(len(row.failures) or "-"),
        "": row.note or (row.failures[0] if row.failures else ""),
    }


def carried(rows: Sequence[GpuRow], target_ms: float) -> str:
    """The most sessions that kept the target, with all smaller ones."""
    lines = []
    for step in ("whole", "calls"):
        best = 0
        for row in sorted((row for row in rows if row.step == step), key=lambda row: row.sessions):
            if not row.keeps(target_ms):
                break
            best = row.sessions
        if any(row.step == step for row in rows):
            within = f"first sound within {target_ms:.0f} ms at p95, without silences"
            lines.append(f"{STEPS[step]}: {within}: {best or 'none'} of those tried")
    return "Sessions carried. " + "; ".join(lines) + "."


def main() -> None:
    """Say what is missing, or measure."""
    arguments = gpu_parsed()
    if lacking := list(missing(arguments)):
        sys.exit("This cannot be measured here yet:\n" + "\n".join(f"* {line}" for line in lacking))
    if arguments.key:
        os.environ["RHAPSODE_KEY"] = arguments.key
    with (
        tempfile.TemporaryDirectory(prefix="rhapsode-gpu-") as folder,
        _system(Path(folder), arguments) as url,
    ):
        found = asyncio.run(measure(url, arguments))
    seen = ", ".join(cards())
    where = machine().replace("no GPU used", seen) if seen else ""
    text = heading(as_typed("python -m loadtests gpu"), where=where) + report(found, arguments)
    figures = [asdict(row) for row in found]
    command = "python -m loadtests gpu --keep"
    publish(text, command, keep=arguments.keep, figures=figures, file=arguments.json)


@contextmanager
def _system(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The one at --url, or one of our own with the wished engines."""
    if arguments.url:
        yield arguments.url.rstrip("/")
        return
    model = _model(arguments.model, lambda shape: random_llama.prepare(shape, arguments.cache, say))
    transcriber = _model(
        arguments.speech_to_text_model, lambda shape: _random_transcriber(shape, arguments.cache)
    )
    say(f"starting the system: {arguments.engine}, {arguments.voice}, {arguments.speech_to_text}")
    variables = environment(arguments, model, transcriber)
    with rhapsode(folder / "home", environment=variables, config=profile(arguments)) as url:
        yield url


def _model(wished: str | None, prepare: Callable[[str], Path]) -> Path | None:
    if not wished:
        return None
    kind, _, shape = wished.partition(":")
    return prepare(shape) if kind == "random" else Path(wished)


def _random_transcriber(shape: str, cache: Path) -> Path:
    like = whisper_files(None, cache).folder  # large-v2 has the same words
    return random_whisper.prepare(shape, like, cache, say)


async def measure(url: str, arguments: argparse.Namespace) -> list[GpuRow]:
    """Every step at every size, the smallest first; once before to warm up."""
    clips = recorded_speech.librivox() if recorded_speech.available() else await gpu_rows.own_speech(url)
    say("warming up")
    await gpu_rows.whole(url, 2, 1, 16)
    found: list[GpuRow] = []
    for sessions in arguments.sessions:
        for step in arguments.steps:
            say(f"{step}, {sessions} at once")
            found.append(await _step(step, url, sessions, clips, arguments))
            cells = _cells(found[-1]).items()
            say("  ".join(f"{name}: {cell}" for name, cell in cells if cell not in ("", "-")))
    return found


async def _step(
    step: str, url: str, sessions: int, clips: Sequence[recorded_speech.Clip], arguments: argparse.Namespace
) -> GpuRow:
    match step:
        case "words":
            return await gpu_rows.words(url, sessions, arguments.turns, arguments.tokens)
        case "voice":
            return await gpu_rows.voice(url, sessions, arguments.turns)
        case "whole":
            return await gpu_rows.whole(url, sessions, arguments.turns, arguments.tokens)
        case "transcriptions":
            return await gpu_rows.transcriptions(url, sessions, arguments.turns, clips)
        case _:
            mode = "quality" if arguments.speech_to_text == "whisperx" else "realtime"
            return await gpu_rows.calls(url, sessions, clips[: arguments.turns], mode)
