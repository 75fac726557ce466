"""The network of multilingual-e5-small as an ONNX graph, with its matrices of four bits as they are."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.rag.embeddings.e5_file import BLOCK, E5File

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
