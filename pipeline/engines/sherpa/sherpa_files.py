"""Files of models that sherpa-onnx runs; they are looked for first, as it ends the process without them."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.engines.weights.prepared_folders import UnusableWeights

MOONSHINE: Final[Mapping[str, str]] = {
    "encoder": "encoder_model.ort",
    "decoder": "decoder_model_merged.ort",
    "tokens": "tokens.txt",
}
KOKORO: Final[Mapping[str, str]] = {
    "model": "model*.onnx",
    "voices": "voices.bin",
    "tokens": "tokens.txt",
}
POCKET: Final[Mapping[str, str]] = {
    "lm_flow": "lm_flow*.onnx",
    "lm_main": "lm_main*.onnx",
    "encoder": "encoder*.onnx",
    "decoder": "decoder*.onnx",
    "text_conditioner": "text_conditioner*.onnx",
    "vocab_json": "vocab.json",
    "token_scores_json": "token_scores.json",
}
"""Names that sherpa-onnx has for the files, and patterns of their names in a folder."""


def sherpa_files(folder: Path | None, patterns: Mapping[str, str], setting: str) -> dict[str, str]:
    """Paths of a model's files, by what sherpa-onnx calls them.

    `setting` names the folder in the configuration. Raises UnusableWeights where the package, the folder or a
    file is missing.
    """
    if find_spec("sherpa_onnx") is None:
        raise UnusableWeights(
            f"{setting} needs the package sherpa-onnx, which is not installed in this environment."
        )
    if folder is None:
        raise UnusableWeights(f"{setting} is not set: `rhapsode models list` shows models that can be used.")
    folder = folder.expanduser()
    found = {name: sorted(folder.glob(pattern)) for name, pattern in patterns.items()}
    if missing := [patterns[name] for name, files in found.items() if not files]:
        raise UnusableWeights(f"{folder}, which {setting} names, has no {', '.join(missing)}.")
    return {name: str(files[0]) for name, files in found.items()}
