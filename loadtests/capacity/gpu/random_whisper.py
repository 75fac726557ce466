"""Whisper models of a given shape with random weights, for CTranslate2: right for speed and memory only."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from numpy.typing import NDArray

_DEVIATION: Final = 0.02
_MELS: Final = 80
_FRAMES: Final = 1_500
_TEXT: Final = 448


@dataclass(frozen=True, slots=True)
class WhisperShape:
    width: int
    layers: int
    heads: int


SHAPES: Final = {"tiny": WhisperShape(128, 2, 2), "large-v2": WhisperShape(1_280, 32, 20)}


def prepare(name: str, like: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """The folder of the model of this shape; made once. `like`: a folder whose words it has."""
    shape = SHAPES[name]
    folder = cache / f"random-whisper-{name}"
    if (folder / "model.bin").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    say(f"random weights of the shape of Whisper {name}: {folder}")
    vocabulary = (like / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    words = vocabulary[:-1] if not vocabulary[-1] else vocabulary
    spec = WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _Filler(shape.width).fill(spec, len(words))
    spec.register_vocabulary(words)
    spec.validate()
    spec.optimize(quantization="float16")
    made = folder.with_suffix(".new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    spec.save(str(made))
    shutil.copy(like / "tokenizer.json", made)
    shutil.copy(like / "vocabulary.txt", made)
    settings = json.loads((like / "config.json").read_text())
    settings["alignment_heads"] = [[shape.layers - 1, 0]]
    (made / "config.json").write_text(json.dumps(settings))
    shutil.rmtree(folder)
    made.rename(folder)
    return folder


class _Filler:
    """Gives every part of the model numbers of the right shape."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._dice = np.random.default_rng(1)

    def fill(self, spec: Any, words: int) -> None:
        width, encoder, decoder = self._width, spec.encoder, spec.decoder
        encoder.conv1.weight, encoder.conv1.bias = self._some(width, _MELS, 3), self._none(width)
        encoder.conv2.weight, encoder.conv2.bias = self._some(width, width, 3), self._none(width)
        encoder.position_encodings.encodings = self._some(_FRAMES, width)
        decoder.position_encodings.encodings = self._some(_TEXT, width)
        decoder.embeddings.weight = self._some(words, width)
        decoder.projection.weight = decoder.embeddings.weight
        self._norm(encoder.layer_norm)
        self._norm(decoder.layer_norm)
        for layer in encoder.layer:
            self._attention(layer.self_attention, (3, 1))
            self._inner(layer.ffn)
        for layer in decoder.layer:
            self._attention(layer.self_attention, (3, 1))
            self._attention(layer.attention, (1, 2, 1))
            self._inner(layer.ffn)

    def _attention(self, part: Any, heights: tuple[int, ...]) -> None:
        self._norm(part.layer_norm)
        for linear, height in zip(part.linear, heights, strict=True):
            linear.weight = self._some(height * self._width, self._width)
            linear.bias = self._none(height * self._width)

    def _inner(self, part: Any) -> None:
        width = self._width
        self._norm(part.layer_norm)
        part.linear_0.weight, part.linear_0.bias = self._some(4 * width, width), self._none(4 * width)
        part.linear_1.weight, part.linear_1.bias = self._some(width, 4 * width), self._none(width)

    def _norm(self, part: Any) -> None:
        part.gamma, part.beta = np.ones(self._width, np.float32), self._none(self._width)

    def _some(self, *shape: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = self._dice.standard_normal(shape, np.float32)
        return values * np.float32(_DEVIATION)

    def _none(self, *shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, np.float32)
