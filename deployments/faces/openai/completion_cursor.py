"""Cursor of a client in an answer: the ids of its events."""

from typing import NamedTuple

from schemas.errors import CursorMalformed
from schemas.ids import Seq, SessionId, parse_session_id


class Cursor(NamedTuple):
    """The last chunk that a client has: of this event, this one of its chunks; None: all of them."""

    session: SessionId
    seq: Seq
    part: int | None = None

    def __str__(self) -> str:
        return f"{self.session}-{self.seq}" + ("" if self.part is None else f".{self.part}")

    def covers(self, other: "Cursor") -> bool:
        """Whether who has this chunk has that one."""
        if other.seq != self.seq or self.part is None:
            return other.seq <= self.seq
        return other.part is not None and other.part <= self.part


def parse_cursor(text: str) -> Cursor:
    """Raises CursorMalformed."""
    name, _, place = text.rpartition("-")
    seq, dot, part = place.partition(".")
    session = parse_session_id(name)
    numbers = (seq, part) if dot else (seq,)
    if session is None or not all(one.isascii() and one.isdigit() and len(one) < 16 for one in numbers):
        raise CursorMalformed(f"{text[:80]!r} is no event id of ours", field="Last-Event-ID")
    return Cursor(session, Seq(int(seq)), int(part) if dot else None)
