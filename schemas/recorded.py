"""A fact with its place in the log, and how old shapes are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel

from schemas.errors import LogError
from schemas.events import FACT, Fact
from schemas.ids import NO_TURN, Seq, TurnId

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = {}
"""(type, v) -> a pure function from the payload of version v to that of version v + 1."""

FACT_MODELS: Final[tuple[type[BaseModel], ...]] = get_args(get_args(Fact)[0])
"""Every member of the union, in the order in which schemas/events.py lists them."""

VERSIONS: Final[Mapping[str, int]] = {
    model.model_fields["type"].default: model.model_fields["v"].default for model in FACT_MODELS
}
"""Today's version of every type."""


class UnknownFact(LogError):
    """A newer version of this program wrote the fact. Projections count it and go on."""

    code = "log.unknown_fact"


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

    def fact(self, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS) -> Fact:
        """The fact in today's shape; UnknownFact where this program knows no such type or version."""
        data, v = dict(self.data), self.v
        while upcast := upcasters.get((self.type, v)):
            data, v = upcast(data), v + 1
        if VERSIONS.get(self.type) != v:
            raise UnknownFact(
                f"fact {self.seq} is a {self.type} of version {self.v}, which is not known here"
            )
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
    quiet: bool = False
    """A copy of what happened elsewhere: no worker hears of it, and no owner is wanted for it."""
