"""Whether a model was taught to call functions, by the chat template in its GGUF file.

The package `gguf` would read the whole vocabulary for this, which takes seconds. So the one field is looked
for by its name, as the format writes it (GGUF specification, version 3): type, length, then the text.
"""

import mmap
import struct
from pathlib import Path
from typing import Final

_FIELD: Final = b"tokenizer.chat_template" + struct.pack("<I", 8)
"""The name, and that it is a string."""
_LENGTH: Final = struct.Struct("<Q")


def knows_calls(model: Path) -> bool:
    """False for a file without a template."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_FIELD)
        if at < 0:
            return False
        begin = at + len(_FIELD) + _LENGTH.size
        (length,) = _LENGTH.unpack(data[begin - _LENGTH.size : begin])
        return b"tool_call" in data[begin : begin + length]
