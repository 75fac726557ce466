"""Sessions that move: forks, imports, and what is said when somebody's are erased."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.document_models import FrozenModel, RequestModel
from schemas.native.client_commands import Readable, Said, SettingsPatch
from schemas.native.native_messages import SessionCreated


class ForkSession(RequestModel):
    """Begin a new session with another one's past."""

    at: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """The last event that both share; None: everything there is."""
    settings: SettingsPatch = Field(default_factory=SettingsPatch)
    """Settings that differ from there on."""
    prompt: Said | None = None
    """The fork's first question of its own."""
    text: Said | None = None
    """Or what it reads out."""
    title: Annotated[Readable, Field(max_length=200)] | None = None
    """None: as before."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.prompt is not None and self.text is not None:
            raise ValueError('give "prompt" or "text", not both')
        return self


class SessionForked(SessionCreated):
    parent: str
    parent_seq: int
    """The last event taken over; an end of the session is not."""
    turn: int | None = None
    """Turn of the fork's first question, if it was given one."""


class SessionImported(SessionCreated):
    imported_from: str
    """The id that it had where it was exported."""


class ErasedSession(FrozenModel):
    """One session that is no more."""

    session_id: str
    n: int
    """How many events it had."""
    sha256: str
    """The chain over all of its events and audio: whoever kept a copy can show which session this was."""


Place = Literal[
    "sessions",
    "archive",
    "session_list",
    "documents",
    "threads_of_others",
    "log_files",
    "usage_counters",
    "uploads",
    "credentials",
    "server_logs",
    "backups",
]
PlaceState = Literal["clear", "erased", "kept", "pending", "not_looked_at"]


class ErasurePlace(FrozenModel):
    """Result of an erasure in one place."""

    place: Place
    state: PlaceState
    """`clear`: looked at, nothing was there. `erased`: looked at again, nothing is there any more. `kept`: it
    stays, see `detail`. `pending`: not all of it is gone, or it is not certain; see `detail`, and ask again.
    `not_looked_at`: this server cannot.
    """
    found: int = 0
    """How many things were there: sessions, rows, collections, threads, servers."""
    detail: str = ""
    sessions: tuple[str, ...] = ()
    """The threads of others in which something stays."""


class ErasureProof(FrozenModel):
    """Report of an erasure: counts of erased and of remaining data in each place."""

    format: Literal["rhapsode.erasure"] = "rhapsode.erasure"
    principal_sha256: str
    """The name itself is not kept."""
    erased_at: str
    sessions: tuple[ErasedSession, ...]
    found_after: int
    """Streams, descriptions, archived files, rows of the list of sessions and collections of documents that
    were there when it was looked again, or that could not be looked for.

    1 where that could not be done, because the erasure failed midway: ask for it again, and keep both proofs.
    """
    log_rewritten: bool
    """Every server of the log, replicas included, has written its append-only file anew since, or keeps none.

    False: some had not finished when this was written, could not be reached, or nothing was erased. Dumps
    (RDB), backups, snapshots of disks, and servers that the log does not know any more are not looked at.
    """
    log_servers: int = 0
    """How many servers the log was known to have, those that were away included; 0: none was asked."""
    log_servers_rewritten: int = 0
    """How many of those had finished."""
    places: tuple[ErasurePlace, ...] = ()
    """Every place where something of a user can be. Empty where nothing is said about them: in older proofs,
    and in those of erasures that failed midway.
    """
