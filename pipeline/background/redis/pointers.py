"""How pointers, changes and dead letters look inside Redis."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgpack

from pipeline.background.worker_ports import Change, Letter, Pointer
from pipeline.eventlog.redis.codec import Argument, Keys
from schemas.ids import Seq, SessionId

LETTERS: Final = "dlq"
READERS: Final = "cs"
"""The names of the projections that have ever read this partition."""
ERROR_CHARS: Final = 500


def checkpoint(projection: str) -> str:
    return f"c:{projection}"


def parking(projection: str) -> str:
    """Parked sessions of a projection, with how many dead letters each has."""
    return f"park:{projection}"


def pointer_of(partition: int, entry: Sequence[Any]) -> Pointer:
    fields = _fields(entry[1])
    reader = fields.get(b"g")
    return Pointer(
        partition=partition,
        entry=entry[0].decode(),
        session=SessionId(fields[b"s"].decode()),
        seq=Seq(int(fields[b"q"])),
        type=fields[b"t"].decode(),
        reader=reader.decode() if reader else None,
    )


def letter_of(partition: int, entry: Sequence[Any]) -> Letter:
    fields = _fields(entry[1])
    kind: Literal["effect", "projection"] = "effect" if fields[b"k"] == b"effect" else "projection"
    return Letter(
        partition=partition,
        entry=entry[0].decode(),
        kind=kind,
        reader=fields[b"g"].decode(),
        session=SessionId(fields[b"s"].decode()),
        seq=Seq(int(fields[b"q"])),
        type=fields[b"t"].decode(),
        error=fields[b"e"].decode(errors="replace"),
        tries=int(fields[b"n"]),
        first_ms=int(fields[b"f"]),
    )


def _fields(flat: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def packed_changes(
    keys: Keys, partition: int, changes: Sequence[Change], before: int
) -> tuple[list[str], bytes]:
    """The keys that are written, and what is written to them; `before` other keys stand in front of them."""
    names: dict[str, int] = {}
    rows: list[list[Argument]] = []
    for change in changes:
        place = names.setdefault(keys.beside(partition, change.key), before + len(names) + 1)
        rows.append([change.command, place, *(_text(argument) for argument in change.arguments)])
    return list(names), pack(rows) if rows else b""


def _text(argument: Argument) -> Argument:
    """Lua's numbers are floats: whole ones travel as text."""
    return str(argument) if isinstance(argument, int) else argument


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=False)  # Redis's msgpack knows one kind of string
    return packed
