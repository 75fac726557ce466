"""States of the models of the manifest on this machine: in use, downloaded, and whether they would fit."""

from pathlib import Path
from typing import Final, Literal

from pipeline.engines.weights.chosen_models import PACKAGED, chosen
from pipeline.engines.weights.model_download import installed
from pipeline.engines.weights.model_manifest import ModelEntry, entries

ModelState = Literal["in use", "also in use", "installed", "-"]
"""`also in use`: a voice that speaks sentences in its language, and is not the voice of new sessions."""
_MEGABYTE: Final = 1_000_000
_MEMORY: Final = 1.25
"""Bytes of memory for a byte of its files: weights, and what an engine needs beside them."""


def states(home: Path, cache: Path) -> dict[str, ModelState]:
    """The state of each model by name; the packaged ones come first."""
    choices, there = chosen(home), {one.name for one in installed(cache)}
    found: dict[str, ModelState] = dict.fromkeys(PACKAGED, "installed")
    found |= {one.name: "installed" if one.name in there else "-" for one in entries()}
    for name, role in PACKAGED.items():
        names = choices.get(role, (name,))
        found[names[-1]] = "in use"
        found |= dict.fromkeys(names[:-1], "also in use")
        if role == "voice" and found[name] == "installed" and _is_piper(names[-1]):
            found[name] = "also in use"
    return found


def fits(entry: ModelEntry, free_bytes: int) -> bool:
    """Whether the model needs at most so much memory, as the size of its files tells."""
    return entry.megabytes * _MEGABYTE * _MEMORY <= free_bytes


def _is_piper(name: str) -> bool:
    return any(one.engine == "piper" for one in entries() if one.name == name)
