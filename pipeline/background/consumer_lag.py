"""How far the readers of the trigger streams are, and from where on pointers must be kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

from pipeline.background.worker_ports import START


@dataclass(frozen=True, slots=True)
class ConsumerPresence:
    """A worker process, as it has last announced itself."""

    worker: str
    seen_ms: int
    effects: tuple[str, ...] = ()
    projections: tuple[str, ...] = ()

    def packed(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def unpacked(cls, worker: str, packed: bytes) -> "ConsumerPresence":
        found = orjson.loads(packed)
        names = (tuple(found["effects"]), tuple(found["projections"]))
        return cls(worker, found["seen_ms"], *names)


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One effect's group in one partition."""

    name: str
    lag: int
    pending: int
    oldest_pending: str | None
    last_delivered: str
    consumers: int = 0


@dataclass(frozen=True, slots=True)
class ProjectionLag:
    """One projection in one partition."""

    name: str
    place: str
    lag: int
    parked: int
    rebuilding: bool


@dataclass(frozen=True, slots=True)
class ConsumerLag:
    """One partition's trigger stream and all who read it."""

    partition: int
    length: int
    groups: Sequence[GroupLag] = ()
    projections: Sequence[ProjectionLag] = ()
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    """By reader."""


def order_of(entry: str) -> tuple[int, int]:
    """Entries of one stream in their order."""
    first, _, second = entry.partition("-")
    return int(first), int(second)


def names_running(presences: Iterable[ConsumerPresence]) -> tuple[frozenset[str], frozenset[str]]:
    """Effects and projections that somebody runs."""
    found = list(presences)
    return (
        frozenset(name for presence in found for name in presence.effects),
        frozenset(name for presence in found for name in presence.projections),
    )


def needed_from(
    lag: ConsumerLag, effects: frozenset[str], projections: frozenset[str], *, unknown_hold: bool
) -> str:
    """The oldest pointer that some reader still needs, or has had last; START: all of them.

    `effects` and `projections` are those that run. One that has not begun in this partition needs everything.
    """
    begun = {group.name for group in lag.groups}, {one.name for one in lag.projections}
    if not (effects <= begun[0] and projections <= begun[1]):
        return START
    places = [
        group.oldest_pending or group.last_delivered
        for group in lag.groups
        if unknown_hold or group.name in effects
    ]
    places += [one.place for one in lag.projections if unknown_hold or one.name in projections]
    return min(places, key=order_of, default=START)
