"""The light embeddings: WordLlama's table of token vectors, averaged. No network, no model to run.

The package is used for its weights alone. Its own loader looks for them in the wrong place when it may not
download, and brings two libraries that are not needed to read one table.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.engines.weights.prepared_folders import UnusableWeights, package, sha256
from pipeline.rag.embeddings.embedder import Vectors, unit

_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
_SHA256: Final = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
_MOST_CHARACTERS: Final = 20_000


class WordLlama:
    """256 dimensions; about 30 µs for a question."""

    name = "wordllama-l2-supercat-256"
    dimensions = 256

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table = _table(folder / _WEIGHTS)

    @classmethod
    def packaged(cls) -> "WordLlama":
        """With the weights of the installed package."""
        folder = package("wordllama")
        if sha256(folder / _WEIGHTS) != _SHA256:
            raise UnusableWeights("The package wordllama has other weights than are expected.")
        return cls(folder)

    def passages(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        encoded = self._tokenizer.encode_batch(
            [text[:_MOST_CHARACTERS] for text in texts], add_special_tokens=False
        )
        for row, tokens in zip(rows, encoded, strict=True):
            if tokens.ids:
                row[:] = self._table[tokens.ids].mean(axis=0, dtype=np.float32)
        return unit(rows)

    def question(self, text: str) -> Vectors:
        return self.passages([text])


def _table(path: Path) -> NDArray[np.float16]:
    """The only array of a safetensors file, mapped: processes share its memory."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    (spec,) = (entry for name, entry in header.items() if name != "__metadata__")
    if spec["dtype"] != "F16":
        raise UnusableWeights(f"{path.name} has numbers of another kind than is expected.")
    return np.memmap(path, np.float16, "r", 8 + length + spec["data_offsets"][0], tuple(spec["shape"]))
