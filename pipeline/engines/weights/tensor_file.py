"""The safetensors format, for numbers that numpy has no type for: bfloat16, as models are stored."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bfloat16(values: NDArray[np.float32]) -> bytes:
    """The upper half of each number, rounded to the nearest, ties to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def write_tensors(path: Path, weights: Mapping[str, tuple[Sequence[int], bytes]]) -> None:
    """The format: how long the description is, the description, then all numbers in its order.

    Its own package takes nothing that numpy has no type for, or addresses in memory.
    """
    described: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, data) in weights.items():
        begin, end = end, end + len(data)
        described[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    description = json.dumps(described).encode()
    description += b" " * (-len(description) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(description)) + description)
        file.writelines(data for _, data in weights.values())
