"""The port between the pipeline and its log: what any log must do, whoever keeps it."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId
from schemas.native.native_messages import LogState

ANY: Final = -1
"""As `Batch.expected`: append wherever the session's end is now."""
TOMBSTONE_S: Final = 86_400
"""So long the log knows of a deleted session that there was one."""

PAGE: Final = 500
"""Events that one read returns at most, unless it says otherwise."""

Lease = tuple[SessionId, str]
"""A session and who runs its turns, or wants to."""


State = Literal["live", "sealed", "archived", "deleted"]


class Verdict(StrEnum):
    """Answer of the log to one batch. Every answer but OK and DUP means: nothing was appended."""

    OK = "OK"
    DUP = "DUP"
    """This very batch is in the log already; the range is where."""
    STALE = "STALE"
    """A later batch of this producer is in the log, so this one is too (it was sent in order)."""
    PRODUCER_GAP = "PGAP"
    """A batch of this producer is missing; `first` is the number of the last one that the log has."""
    CONFLICT = "CONFLICT"
    FENCED = "FENCED"
    SEALED = "SEALED"
    NO_SESSION = "NOSESSION"
    GONE = "GONE"
    """The session was deleted."""
    QUOTA = "QUOTA"
    """The session would grow beyond `LogSettings.max_session_bytes`."""
    UNREPLICATED = "UNREPLICATED"
    """It is in the log, at this place, but may yet be lost with the server: send it again."""
    ARCHIVE_AWAY = "ARCHIVEAWAY"
    """Whether the session is in the archive cannot be said now."""
    ARCHIVE_DAMAGED = "ARCHIVEDAMAGED"
    TOO_LARGE = "TOOLARGE"
    """One of the events is larger than any log takes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that enter the log together or not at all, at most once however often they are sent."""

    session: SessionId
    producer: str
    number: int
    """1, 2, 3, ... for each (producer, session): what makes a resend harmless."""
    events: Sequence[NewEvent]
    epoch: int = 0
    """The sender's ownership epoch; 0: not an owner (a command). An epoch belongs to the producer that first
    wrote with it: a second one with the same epoch is fenced like one with a smaller."""
    expected: int = ANY
    """The last seq that the sender has seen, or ANY."""
    mode: Literal["create", "append", "seal"] = "append"
    """`create` conflicts with a session that exists; nothing follows `seal`."""
    generation: str = ""
    """Used by mode `create` only."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`first`..`last` is the batch's place for OK and DUP; otherwise see `Verdict`."""

    verdict: Verdict
    first: Seq
    last: Seq


@dataclass(frozen=True, slots=True)
class Head:
    """Last sequence number, epoch, generation and state of a session."""

    seq: Seq
    epoch: int
    generation: str
    state: State


@dataclass(frozen=True, slots=True)
class Tail:
    """Head of a session and the first events after some place, both from one round trip."""

    head: Head | None
    """None: the log has no such session; an archive may."""
    events: Sequence[Recorded]
    """In order and without sound. Events that only the archive has are missing."""


@dataclass(frozen=True, slots=True)
class Push:
    """A batch as the log announced it the moment it was appended."""

    session: SessionId
    first: Seq
    last: Seq
    events: Sequence[Recorded]
    """Empty where the announcement was too large to carry them: read them."""

    @property
    def bytes(self) -> int:
        """Of the data of its events, without their sound."""
        return sum(event.size for event in self.events)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Pushes of this session flow from now on (again): whatever came before must be read."""

    session: SessionId


class PushSubscription(Protocol):
    """One connection on which the log announces appends. Announcements may be lost, never reordered."""

    async def subscribe(self, session: SessionId) -> None:
        """Returns at once; `Subscribed` follows from `pushes`."""
        ...

    async def unsubscribe(self, session: SessionId) -> None: ...
    def pushes(self) -> AsyncGenerator[Push | Subscribed, None]:
        """For ever: reconnects by itself, and says `Subscribed` again when it has. One caller at a time."""
        ...

    async def check(self) -> None:
        """To be called now and then: makes sure that a silent connection is not a dead one."""
        ...

    async def aclose(self) -> None: ...


class EventLog(Protocol):
    """An append-only log of events per session.

    Every method raises LogUnavailable when the server stays out of reach.
    """

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Append each batch atomically, in the order given; one outcome per batch, one round trip."""
        ...

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = PAGE, audio: bool = False
    ) -> list[Recorded]:
        """At most `limit` events with seq > after, in order; [] at the end or where there is no session.

        Fewer where they are large, at least one.
        """
        ...

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        """One head per session, None where there never was one; one round trip."""
        ...

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        """Head, and at most PAGE events after `after`; one round trip."""
        ...

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        """`acquire` and `tail` in one round trip; None: somebody else holds the lease."""
        ...

    @property
    def failovers(self) -> int:
        """How often a server was found to be another one than before: its last events may be missing."""
        ...

    @property
    def state(self) -> LogState:
        """Whether it took and gave what it was asked last."""
        ...

    async def attend(self) -> None:
        """Look at the servers, so that `failovers` also knows of those that nobody here writes to now."""
        ...

    def shard_of(self, session: SessionId) -> str:
        """Sessions of different shards do not wait for each other: the server of one may fail alone."""
        ...

    def push_subscription(self) -> PushSubscription:
        """A fresh announcement connection."""
        ...

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        """Take or renew the lease on running this session's turns; False: somebody else holds it."""
        ...

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        """As `acquire` for many sessions of one shard in one call; whether each is held, in their order."""
        ...

    async def release(self, session: SessionId, owner: str) -> None:
        """Give the lease back, if `owner` holds it."""
        ...

    async def has_work(self) -> bool:
        """Whether any session has a turn that is not over, or a wish to end, whoever holds its lease.

        Costs one short call; True also where a server that may know of one does not answer.
        """
        ...

    async def abandoned(self) -> list[SessionId]:
        """Sessions with a turn that is not over, or a wish to end, whose lease nobody holds."""
        ...

    async def delete(self, session: SessionId) -> None:
        """Erase events and audio for good; a tombstone answers `deleted` for TOMBSTONE_S.

        May be called again, and must be where it raises NotCertain: too few replicas have it.
        """
        ...

    async def ping(self) -> None:
        """Return when the log answers."""
        ...

    async def aclose(self) -> None: ...
