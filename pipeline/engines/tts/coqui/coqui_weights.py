"""Which checkpoint of Coqui's the settings mean: the user's own, or a Piper voice converted once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.engines.model_files import voice_file
from pipeline.engines.weights.prepared_folders import Recipe, UnusableWeights, made
from schemas.settings import TextToSpeechSettings

CHECKPOINT: Final = "model.pth"
CONFIG: Final = "config.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network of Coqui's."""

    name: str
    """Name of its voice where it has no speakers of its own."""
    kind: str
    """As its configuration says: "vits", "xtts"."""
    model: Path
    config: Path


def checkpoint_of(settings: TextToSpeechSettings, cache: Path) -> Checkpoint:
    """The checkpoint to load; converts the Piper voice if need be, in Coqui's environment only."""
    if settings.model_path is None:
        folder = made(converted_voice(settings), cache)
        name = "joe" if settings.voice_path is None else settings.voice_path.stem
        return Checkpoint(name, "vits", folder / CHECKPOINT, folder / CONFIG)
    given = settings.model_path.expanduser()
    model = given / CHECKPOINT if given.is_dir() else given
    config = (settings.config_path or model.with_name(CONFIG)).expanduser()
    for path in (model, config):
        if not path.is_file():
            raise UnusableWeights(f"There is no file {path}, which text_to_speech.model_path asks for.")
    name = model.parent.name if model.name == CHECKPOINT else model.stem
    return Checkpoint(name, _kind(config), model, config)


def converted_voice(settings: TextToSpeechSettings) -> Recipe:
    """How the Piper voice becomes a checkpoint."""
    path, packaged_sha256 = voice_file(settings)

    def make(folder: Path, progress: Callable[[float], None]) -> None:
        from pipeline.engines.tts.coqui.coqui_convert import convert

        convert(path, folder, progress)

    if packaged_sha256 is not None:
        return Recipe("coqui-joe", path, make, source_sha256=packaged_sha256)
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return Recipe(f"coqui-{path.stem}-{place}", path, make)


def is_xtts(checkpoint: Checkpoint) -> bool:
    return checkpoint.kind == "xtts"


def _kind(config: Path) -> str:
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
        kind = str(described["model"]).lower()
    except (ValueError, LookupError, TypeError) as error:
        raise UnusableWeights(f"{config} is no configuration of Coqui's.") from error
    if kind not in ("vits", "xtts"):
        raise UnusableWeights(f"{config} is of a {kind!r} network; VITS and XTTS can be streamed.")
    return kind
