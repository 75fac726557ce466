"""An event as the log stores it, and the chain that names all events up to one. No I/O."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgpack

from schemas.ids import Seq

FIRST_LINK: Final = bytes(32)
"""The chain before any event."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One entry of a session's streams, byte for byte."""

    seq: Seq
    fields: tuple[bytes, ...]
    """Name, value, name, value, ... in the order of the stream."""
    audio: bytes = b""

    @property
    def type(self) -> str:
        names, values = self.fields[::2], self.fields[1::2]
        return values[names.index(b"t")].decode()

    def packed(self) -> bytes:
        packed: bytes = msgpack.packb((self.seq, *self.fields))
        return packed


def link(chain: bytes, event: StoredEvent) -> bytes:
    """The chain with one more event: it names everything up to here, however it is cut into segments."""
    return sha256(chain + sha256(event.packed()).digest() + sha256(event.audio).digest()).digest()
