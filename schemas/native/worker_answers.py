"""Answers about the workers, and the list of sessions that they keep."""

from typing import Literal

from schemas.document_models import ClosedModel
from schemas.events import Kind


class ListedSession(ClosedModel):
    """A session in the list."""

    session_id: str
    kind: Kind
    title: str
    principal: str
    parent: str | None = None
    created_ms: int
    latest_ms: int
    """When something important last happened in it."""
    turns: int = 0
    """Turns ever asked for."""
    state: Literal["live", "sealed"] = "live"


class SessionList(ClosedModel):
    """Newest first."""

    sessions: tuple[ListedSession, ...]
    next: str | None = None
    """To be sent as `before` for the sessions that follow; None: there are no more."""


class ReaderReport(ClosedModel):
    """Base of effects and projections."""

    name: str
    lag: int
    """Events that it has not taken yet; of a projection at most 1,000 in each partition are counted."""
    dead_letters: int
    running: bool
    """Some worker runs it now."""


class EffectReport(ReaderReport):
    """How far one effect is, all partitions together."""

    pending: int
    """Events that somebody works on, or has failed at and will try again."""
    oldest_pending_s: float
    """Since the oldest of those was recorded; 0: there is none."""


class ProjectionReport(ReaderReport):
    """How far one projection is, all partitions together."""

    parked: int
    """Sessions that it passes over."""
    rebuilding: bool


class WorkerReport(ClosedModel):
    """State of the workers, from the log server."""

    workers: int
    """Processes that have shown life lately."""
    lag: int
    pending: int
    oldest_pending_s: float
    dead_letters: int
    pointers: int
    """Kept in the trigger streams."""
    effects: tuple[EffectReport, ...] = ()
    projections: tuple[ProjectionReport, ...] = ()
    facts_today: dict[str, int] = {}
    """By type, of those that workers see; since midnight, UTC."""

    @property
    def readers(self) -> tuple[ReaderReport, ...]:
        return (*self.effects, *self.projections)


class DeadLetter(ClosedModel):
    """An event that an effect or a projection could not be done with."""

    id: str
    kind: Literal["effect", "projection"]
    reader: str
    """The effect's or projection's name."""
    session_id: str
    seq: int
    type: str
    error: str
    tries: int
    first_ms: int
    """When the event was recorded."""
    buried_ms: int


class DeadLetters(ClosedModel):
    """By partition, oldest first in each."""

    dead_letters: tuple[DeadLetter, ...]
    next: str | None = None
    """To be sent as `after`; None: there are no more."""


class RetryAccepted(ClosedModel):
    """The event is on its way to the effect or projection again."""

    id: str


class RebuildAccepted(ClosedModel):
    """The projection will be made anew, partition by partition."""

    projection: str
