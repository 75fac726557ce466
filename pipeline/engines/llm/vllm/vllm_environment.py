"""Decides in which environment vLLM runs, and with which model: vLLM has a torch of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.engines.weights.prepared_folders import UnusableWeights, is_folder
from schemas.settings import LanguageModelSettings

_PROGRAM: Final = Path(__file__).parents[4]
_USUAL: Final = _PROGRAM / ".venv-vllm" / "bin" / "python"
_RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The sizes of adapters that vLLM makes room for."""

ENVIRONMENT: Final[Mapping[str, str]] = {
    # Idle OpenMP threads must sleep, not spin: on shared cores spinning costs a factor of twenty.
    "OMP_WAIT_POLICY": "PASSIVE",
    # One process for the engine, and none more for its only worker.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Environment variables that vLLM reads when it is imported."""
SPARE: Final = 2
"""Requests that may wait in a replica: what is more, another replica should have."""


def vllm_python(settings: LanguageModelSettings) -> Path | None:
    """The interpreter that vLLM runs in, whether it is there or not; None: vLLM is not wanted."""
    if settings.engine != "vllm":
        return None
    return (settings.python or _USUAL).expanduser()


def is_on_hub(settings: LanguageModelSettings) -> bool:
    """True if the model has to be fetched, or was fetched once, by its name."""
    return settings.model is not None and not is_folder(settings.model)


def adapter_folders(settings: LanguageModelSettings) -> dict[str, Path]:
    """The adapters by name. Raises UnusableWeights if one is not there."""
    folders = {name: path.expanduser() for name, path in settings.loras.items()}
    for name, folder in folders.items():
        if not (folder / "adapter_config.json").is_file():
            raise UnusableWeights(f"There is no adapter {name!r} at {folder}: it has no adapter_config.json.")
    return folders


def rank_of(folders: Mapping[str, Path]) -> int:
    """Room for the largest of the adapters. Raises UnusableWeights if there is none so large."""
    rank = max((_rank(folder) for folder in folders.values()), default=1)
    if rank > _RANKS[-1]:
        raise UnusableWeights(f"An adapter has rank {rank}; vLLM takes up to {_RANKS[-1]}.")
    return next(room for room in _RANKS if room >= rank)


def _rank(folder: Path) -> int:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        ranks = (config["r"], *config.get("rank_pattern", {}).values())
        return max(int(rank) for rank in ranks)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableWeights(f"The adapter at {folder} does not say its rank: {error}") from error
