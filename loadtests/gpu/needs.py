"""What a run needs, and what of it is missing here, in words."""

import argparse
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.engines.registry import LANGUAGE_MODELS, TEXT_TO_SPEECH
from schemas.settings import AppSettings

_ROOT: Final = Path(__file__).resolve().parents[2]
_ON_A_CARD: Final = frozenset({"vllm", "coqui", "whisperx"})
_MAKES: Final[Mapping[str, tuple[str, str]]] = {
    "vllm": (".venv-vllm", "make env-vllm"),
    "coqui": (".venv-speech", "make env-speech-gpu"),
    "whisperx": (".venv-speech", "make env-speech-gpu"),
}


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    memory_mb: int
    used_mb: int
    busy: int
    """Per cent of the last second or so in which something ran."""


def cards() -> list[Card]:
    """What nvidia-smi sees; none where there is none."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = "--query-gpu=name,memory.total,memory.used,utilization.gpu"
    done = subprocess.run(
        ["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False
    )
    return [card for line in done.stdout.splitlines() if (card := _card(line)) is not None]


def _card(line: str) -> Card | None:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != 4 or not all(cell.isdigit() for cell in cells[1:]):
        return None
    return Card(cells[0], int(cells[1]), int(cells[2]), int(cells[3]))


def missing(arguments: argparse.Namespace, root: Path = _ROOT) -> list[str]:
    """One line for each thing that has to be there first."""
    return [] if arguments.url else list(_missing(arguments, root))


def _missing(arguments: argparse.Namespace, root: Path) -> Iterator[str]:
    wished = (arguments.engine, arguments.voice, arguments.ear)
    if arguments.without_ray and _ON_A_CARD & set(wished):
        yield "--without-ray: only engines that need no environment of their own."
    if _ON_A_CARD & set(wished) and not arguments.cpu and not cards():
        engines = ", ".join(sorted(_ON_A_CARD & set(wished)))
        yield f"{engines}: no graphics card is seen (nvidia-smi). --cpu lets them run without one, slowly."
    if arguments.engine not in LANGUAGE_MODELS:
        yield f"{arguments.engine}: this version has no such language model."
    if arguments.voice not in TEXT_TO_SPEECH:
        yield f"{arguments.voice}: this version has no such voice."
    for engine in wished:
        folder, target = _MAKES.get(engine, ("", ""))
        if folder and not (root / folder / "bin" / "python").exists():
            yield f"{engine}: its environment {folder} is not there. Make it: {target}"
    if (arguments.model or "").startswith("random:") and arguments.engine != "vllm":
        yield "--model random: only engines that load a folder of safetensors take it."
    if arguments.engine == "llama" and arguments.model:
        yield "--model: llama takes no folder. Name a GGUF file by RHAPSODE_LANGUAGE_MODEL__MODEL_PATH."


def environment(arguments: argparse.Namespace, model: Path | None, ear_model: Path | None) -> dict[str, str]:
    """The variables that make the wished engines those of a system that is started."""
    chosen = {
        "LANGUAGE_MODEL__ENGINE": arguments.engine,
        "TEXT_TO_SPEECH__ENGINE": arguments.voice,
        "QUALITY_SPEECH_TO_TEXT__ENGINE": arguments.ear,
        "SPEECH_TO_TEXT__ENGINE": "scripted" if arguments.ear == "scripted" else "whisper",
        "CACHE": str(arguments.cache),
    }
    if model is not None:
        chosen["LANGUAGE_MODEL__MODEL"] = str(model)
    if ear_model is not None:
        chosen["QUALITY_SPEECH_TO_TEXT__MODEL"] = str(ear_model)
    if cards() and not arguments.cpu:
        if arguments.ear == "whisperx":
            chosen["QUALITY_SPEECH_TO_TEXT__DEVICE"] = "cuda"
            chosen["QUALITY_SPEECH_TO_TEXT__COMPUTE_TYPE"] = "float16"
        if arguments.voice != "scripted":
            chosen["TEXT_TO_SPEECH__DEVICE"] = "cuda"
    return {f"RHAPSODE_{name}": value for name, value in chosen.items()}


def bare_settings(arguments: argparse.Namespace, home: Path) -> AppSettings:
    """Of a gateway that has its engines in its own process: those that need no environment of their own."""
    return AppSettings.model_validate(
        {
            "home": home,
            "cache": arguments.cache,
            "language_model": {"engine": arguments.engine},
            "text_to_speech": {"engine": arguments.voice},
            "speech_to_text": {"engine": arguments.ear},
            "quality_speech_to_text": {"engine": arguments.ear},
        }
    )


def profile(arguments: argparse.Namespace, root: Path = _ROOT) -> Path | None:
    """The file that says what runs where; None: the one that comes along."""
    usual = root / "cluster" / "gpu.yaml"
    if arguments.config is not None:
        return Path(arguments.config)
    return usual if cards() and usual.exists() else None
