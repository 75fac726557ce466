"""An event with its place in the log, and how old shapes are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel

from schemas.errors import LogError
from schemas.events import EVENT, Event
from schemas.ids import NO_TURN, Seq, TurnId

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}
"""(type, v) -> a pure function from the payload of version v to that of version v + 1."""

EVENT_MODELS: Final[tuple[type[BaseModel], ...]] = get_args(get_args(Event)[0])
"""Every member of the union, in the order in which schemas/events/session_events.py lists them."""

VERSIONS: Final[Mapping[str, int]] = {
    model.model_fields["type"].default: model.model_fields["v"].default for model in EVENT_MODELS
}
"""Today's version of every type."""

_LATER: Final = "@v"


class UnknownEvents:
    """Counts the events that this process read and has no model for: a later program wrote them."""

    read: int = 0


def upcast(kind: str, v: int, data: dict[str, Any]) -> tuple[str, int, dict[str, Any]]:
    """Type, version and payload of a stored event in the shape of today's models.

    An event of a later version keeps its payload, and its type ends in `@v` and the version: no fold knows
    that type, so each passes over the event as over one of an unknown type. Every decoder of stored events
    calls this function, and nothing else reads an old shape.
    """
    newest = VERSIONS.get(kind)
    if v == newest:
        return kind, v, data
    if newest is None or v > newest or (kind, v) not in UPCASTERS:
        UnknownEvents.read += 1
        return (kind if newest is None else f"{kind}{_LATER}{v}"), v, data
    for old in range(v, newest):
        data = UPCASTERS[kind, old](data)
    return kind, newest, data


class UnknownEvent(LogError):
    """A newer version of this program wrote the event. Projections count it and go on."""

    code = "log.unknown_fact"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One entry of a session's log, as stored: cheap to pass on, parsed only where somebody looks inside."""

    seq: Seq
    ts_ms: int
    """Wall clock of the writer, never smaller than the event before; for people and pacing, not for order."""
    turn: TurnId
    type: str
    v: int
    data: Mapping[str, Any]
    cause: Seq | None = None
    """The event that led to this one."""
    audio: bytes | None = None
    """The chunk's bytes, where the reader asked for audio and the event has some."""

    @property
    def stored_type(self) -> str:
        """The type as the log holds it, also where this program does not know the version."""
        return self.type.partition(_LATER)[0]

    def event(self) -> Event:
        """The event as its model; UnknownFact where this program knows no such type or version."""
        if VERSIONS.get(self.type) != self.v:
            raise UnknownEvent(
                f"event {self.seq} is a {self.stored_type} of version {self.v}, which is not known here"
            )
        return EVENT.validate_python({**self.data, "type": self.type, "v": self.v})

    def wire(self) -> dict[str, Any]:
        """The JSON that every listener is shown, whatever its transport."""
        return {
            "seq": self.seq,
            "ts": self.ts_ms,
            "turn": self.turn or None,
            "type": self.stored_type,
            "v": self.v,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into the log."""

    event: Event
    ts_ms: int
    turn: TurnId = NO_TURN
    cause: Seq | None = None
    audio: bytes = b""
    quiet: bool = False
    """A copy of what happened elsewhere: no worker hears of it, and no owner is wanted for it."""
