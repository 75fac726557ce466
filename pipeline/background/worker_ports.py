"""Effects and projections of the workers, and what passes between them and the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

START: Final = "0-0"
"""Before every entry of a trigger stream."""
SESSION_DELETED: Final = "session.deleted"
"""The one pointer without an event behind it: the session's events are gone."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """An entry of a partition's trigger stream: somewhere an event of this type was recorded."""

    partition: int
    entry: str
    session: SessionId
    seq: Seq
    type: str
    reader: str | None = None
    """For this effect or projection alone: somebody asked for a second try of a dead letter."""

    @property
    def at_ms(self) -> int:
        """When, on the log server's clock."""
        return int(self.entry.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Change:
    """One write to a key of the pointer's partition, made in one step with the acknowledgement."""

    command: Literal["HSET", "HDEL", "HINCRBY", "ZADD", "ZREM", "DEL", "EXPIRE"]
    key: str
    """Without the partition's prefix, which the log puts in front."""
    arguments: tuple[str | int | bytes, ...] = ()


class Effect(Protocol):
    """Something that follows from an event: done once, in no particular order.

    `apply` may run again for the same event after a crash. Exactly once are therefore (a) events posted with
    a key derived from `cause_key`, which the log takes once however late, and (b) the changes returned, which
    are written together with the acknowledgement. Anything else happens at least once.
    """

    @property
    def name(self) -> str:
        """Also of its consumer group. Never reuse the name for something else."""
        ...

    @property
    def types(self) -> frozenset[str]:
        """Of events (of schemas.events.TRIGGERS, or SESSION_DELETED) that `apply` is called for."""
        ...

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        """Raise to be called again later. Events of deleted sessions are passed over."""
        ...


@runtime_checkable
class AbandonableEffect(Protocol):
    """An effect that leaves nobody waiting: it is told of an event before that becomes a dead letter."""

    async def abandon(self, pointer: Pointer, event: Recorded) -> None:
        """Record that nothing comes of the event any more. May run again for the same event."""
        ...


def cause_key(effect: str, pointer: Pointer, what: str = "") -> str:
    """The idempotency key of what `effect` does because of this event: the same at every try."""
    return f"rhapsode {effect}/{pointer.session}/{pointer.seq}/{what}"  # no client can send a blank


class Projection(Protocol):
    """A view kept from events, in order within each session. One reader at a time per partition."""

    @property
    def name(self) -> str: ...

    @property
    def types(self) -> frozenset[str]: ...

    async def project(self, session: SessionId, pointers: Sequence[Pointer]) -> Sequence[Change]:
        """Returns the change that these events make, all of one session and in order.

        Raising parks the session: it is passed over until somebody asks for a retry.
        """
        ...

    async def from_scratch(self, session: SessionId) -> Sequence[Change]:
        """Returns the change that makes the view right for this session, whatever it holds now."""
        ...

    async def known(self, partition: int) -> Sequence[SessionId]:
        """Sessions that the view holds something of."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One consumer of one group."""

    group: str
    consumer: str


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """A pointer handed to a consumer, for the how-manieth time."""

    pointer: Pointer
    times: int = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """New pointers that a group has room for."""

    group: str
    types: frozenset[str]
    count: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Pointers that one call found."""

    by_group: Mapping[str, Sequence[EventDelivery]]
    behind: frozenset[int] = frozenset()
    """Partitions in which there may be more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to go on with a projection in one partition, from a place on."""

    partition: int
    epoch: int
    place: str
    rebuild: bool = False
    """An administrator asked for the view to be rebuilt."""


@dataclass(frozen=True, slots=True)
class Parking:
    """An event that its projection could not take, or that came after one."""

    pointer: Pointer
    error: str
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """The writes of one advance of a projection, all or nothing."""

    to: str
    changes: Sequence[Change] = ()
    parked: Sequence[Parking] = ()
    freed: Mapping[SessionId, Sequence[str]] | None = None
    """Sessions that are parked no longer, with the entries of their dead letters."""
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: an event that an effect or a projection could not be done with."""

    partition: int
    entry: str
    kind: Literal["effect", "projection"]
    reader: str
    session: SessionId
    seq: Seq
    type: str
    error: str
    tries: int
    first_ms: int

    @property
    def id(self) -> str:
        return f"{self.partition}.{self.entry}"

    @property
    def buried_ms(self) -> int:
        return int(self.entry.partition("-")[0])

    @property
    def pointer(self) -> Pointer:
        return Pointer(self.partition, self.entry, self.session, self.seq, self.type)
