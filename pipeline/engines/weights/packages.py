"""Where installed packages keep the weights that they ship."""

from importlib.util import find_spec
from pathlib import Path

from pipeline.engines.weights.prepared_folders import UnusableWeights


def package(module: str) -> Path:
    """The folder of an installed package, found without importing it: some cannot be imported."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        name = module.replace("_", "-")
        raise UnusableWeights(f"The package {name} with the model's weights is not installed.")
    return Path(spec.submodule_search_locations[0])
