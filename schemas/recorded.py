"""A fact with its place in the log, and how old shapes are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.events import FACT, Fact
from schemas.ids import NO_TURN, Seq, TurnId

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}
"""(type, v) -> a pure function from the payload of version v to that of version v + 1."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One entry of a session's log, as stored: cheap to pass on, parsed only where somebody looks inside."""

    seq: Seq
    ts_ms: int
    """Wall clock of the writer, never smaller than the fact before; for people and pacing, not for order."""
    turn: TurnId
    type: str
    v: int
    data: Mapping[str, Any]
    cause: Seq | None = None
    """The fact that led to this one."""
    audio: bytes | None = None
    """The chunk's bytes, where the reader asked for audio and the fact has some."""

    def fact(self) -> Fact:
        """The fact in today's shape. Raises pydantic.ValidationError for a type this version does not know."""
        data, v = dict(self.data), self.v
        while upcast := UPCASTERS.get((self.type, v)):
            data, v = upcast(data), v + 1
        return FACT.validate_python({**data, "type": self.type, "v": v})

    def wire(self) -> dict[str, Any]:
        """The JSON that every listener is shown, whatever its transport."""
        return {
            "seq": self.seq,
            "ts": self.ts_ms,
            "turn": self.turn or None,
            "type": self.type,
            "v": self.v,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact on its way into the log."""

    fact: Fact
    ts_ms: int
    turn: TurnId = NO_TURN
    cause: Seq | None = None
    audio: bytes = b""
