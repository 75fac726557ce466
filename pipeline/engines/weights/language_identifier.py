"""py3langid's model in files that every process of a machine maps, rather than 65 MB in each of them."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.engines.weights.prepared_folders import Recipe, is_made, package

_ARRAYS: Final = ("features", "priors", "classes", "transitions", "rows", "outputs")
"""As `py3langid.modelio.load_model` gives them; a file each."""


def unpacked_model() -> Recipe:
    """The recipe of the folder with the arrays of the packaged model."""
    return Recipe("py3langid", _packaged(), _unpack)


def language_identifier(cache: Path | None) -> Any:
    """A py3langid.langid.LanguageIdentifier; from the package itself where the cache has no folder of it."""
    from py3langid.langid import LanguageIdentifier

    recipe = unpacked_model()
    if cache is None or not is_made(recipe, cache):
        return LanguageIdentifier.from_model_file(recipe.source, norm_probs=True)
    files = [np.load(cache / recipe.name / f"{name}.npy", mmap_mode="r") for name in _ARRAYS]
    features, priors, classes, transitions, rows, outputs = (np.asarray(file) for file in files)
    # A memoryview gives Python's integers, as the loops of py3langid want them.
    states = [each.data for each in (transitions, outputs)]
    return LanguageIdentifier(
        features, priors, classes.tolist(), *states, norm_probs=True, tk_row=rows.tolist()
    )


def _packaged() -> Path:
    return package("py3langid") / "data" / "model.npz.xz"


def _unpack(folder: Path, done: Any) -> None:
    from py3langid.modelio import load_model

    for number, (name, values) in enumerate(zip(_ARRAYS, load_model(_packaged()), strict=True)):
        np.save(folder / f"{name}.npy", np.asarray(values))
        done((number + 1) / len(_ARRAYS))
