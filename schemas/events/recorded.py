"""An event with its place in the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.events import EVENT, Event
from schemas.events.upcasting import LATER, VERSIONS, UnknownEvent
from schemas.ids import NO_TURN, Seq, TurnId


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
    size: int = field(default=0, compare=False)
    """Bytes of `data` in the log; 0 where it was not read from there."""
    _json: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def stored_type(self) -> str:
        """The type as the log holds it, also where this program does not know the version."""
        return self.type.partition(LATER)[0]

    def event(self) -> Event:
        """The event as its model; UnknownFact where this program knows no such type or version."""
        if VERSIONS.get(self.type) != self.v:
            raise UnknownEvent(
                f"event {self.seq} is a {self.stored_type} of version {self.v}, which is not known here"
            )
        return EVENT.validate_python({**self.data, "type": self.type, "v": self.v})

    def to_dict(self) -> dict[str, Any]:
        """The JSON that every listener is shown, whatever its transport."""
        return {
            "seq": self.seq,
            "ts": self.ts_ms,
            "turn": self.turn or None,
            "type": self.stored_type,
            "v": self.v,
            "data": self.data,
        }

    def json(self, dumps: Callable[[Any], bytes]) -> bytes:
        """`wire` as JSON, encoded once for all listeners that are handed this object."""
        if self._json is None:
            # A copy of its own size: what orjson makes holds four kilobytes and more.
            object.__setattr__(self, "_json", memoryview(dumps(self.to_dict())).tobytes())
        assert self._json is not None
        return self._json


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
