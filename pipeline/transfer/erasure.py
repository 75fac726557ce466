"""Erases everything of one user and looks for it again; the proof says for each place what became of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import anyio

from pipeline.auth.client_secrets import erase_secrets
from pipeline.background.redis.aof_rewrite import Rewritten, rewrite
from pipeline.background.redis.redis_session_rows import RedisTraces
from pipeline.background.session_directory import Directory
from pipeline.core.clock import Clock
from pipeline.eventlog.archive.segments import FIRST_LINK, link
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.rag.retrieval_service import RetrievalService
from schemas.errors import (
    ArchiveDamaged,
    ArchiveUnavailable,
    LogError,
    LogLost,
    RhapsodeError,
    SessionGone,
    SessionNotFound,
)
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.ids import Seq, SessionId
from schemas.native.transfer_answers import ErasedSession, ErasurePlace, ErasureProof
from schemas.settings.retrieval_settings import CollectionId

ROUNDS: Final = 3
"""Sessions may be created while others are erased."""
REWRITE_S: Final = 20.0
"""So long the proof waits for the log's servers to write their files anew."""
LIST_S: Final = 2.0
"""The list of sessions is some moments behind; so long its workers are waited for."""
_LOOK_S: Final = 0.05
_PAGE: Final = 500
_ELSEWHERE: Final = (
    ErasurePlace(
        place="usage_counters",
        state="kept",
        detail="allowances used lately, under a hash of the name; they expire within an hour",
    ),
    ErasurePlace(
        place="uploads",
        state="not_looked_at",
        detail="a file that arrives has no name: it is gone when its upload ends, or its process does",
    ),
    ErasurePlace(place="credentials", state="not_looked_at", detail="revoke the user's API keys, too"),
    ErasurePlace(
        place="server_logs",
        state="not_looked_at",
        detail="they have ids and names of users, never what was said",
    ),
    ErasurePlace(
        place="backups",
        state="not_looked_at",
        detail="backups, snapshots of disks and dump.rdb files are yours to erase",
    ),
)


Leave = Callable[[SessionId, str], Awaitable[None]]
"""Ends a principal's membership of a thread. May raise a RhapsodeError."""


@dataclass
class _Erased:
    """Findings of one erasure, and what became of them."""

    principal: str
    sessions: dict[SessionId, ErasedSession] = field(default_factory=dict)
    gone: list[SessionId] = field(default_factory=list)
    """Deleted before this erasure, by one that was broken off perhaps, and still in the list of sessions."""
    collections: list[CollectionId] = field(default_factory=list)
    archived: int = 0
    """Files in the archive that were there before."""
    files_left: int = 0
    keys_left: int = 0
    rows_left: int = 0
    documents_left: int = 0
    threads: list[SessionId] = field(default_factory=list)
    list_current: bool = False
    scrubbed: bool | None = None
    """None: nobody could say."""


class Eraser:
    """Erases users. `delete` ends a session, tells its listeners and erases it."""

    def __init__(
        self,
        log: TieredLog,
        directory: Directory,
        delete: Callable[[SessionId], Awaitable[None]],
        clock: Clock,
        *,
        library: RetrievalService | None = None,
        leave: Leave | None = None,
    ) -> None:
        """`library`: where documents are."""
        self._log = log
        self._directory = directory
        self._delete = delete
        self._clock = clock
        self._library = library
        self._leave = leave
        self._traces = RedisTraces(log.hot)

    async def erase(self, principal: str) -> ErasureProof:
        """Delete every session of theirs, hot and archived, and what else there is; the proof is kept in the
        archive.

        Nothing is erased while too few replicas of the log answer: that raises LogUnavailable. Sound to call
        again after a failure, of which a proof is kept as well, and after whoever erased was killed: what is
        gone is not there to be found, and what is left of it is.
        """
        await self._log.hot.settled()
        found = _Erased(principal)
        try:
            found.list_current = await self._list_is_current()
            await self._leave_threads(found)
            await self._erase_all(found)
            await self._erase_traces(found)
            await erase_secrets(self._log.hot, principal)
            await self._look_again(found)
        except RhapsodeError:
            if found.sessions:  # a second try does not find these any more
                with suppress(LogError):
                    await self._prove(found, Rewritten(0, 0), failed=True)
            raise
        log = Rewritten(0, 0)
        with suppress(LogError):  # that there is a proof matters more
            log = await rewrite(self._log.hot, REWRITE_S)
        return await self._prove(found, log)

    async def _list_is_current(self) -> bool:
        """By the list of sessions, threads of others are found. Later sessions need not be in it."""
        with anyio.move_on_after(LIST_S):
            ends = await self._traces.ends()
            while True:
                if await self._traces.reached(ends):
                    return True
                await anyio.sleep(_LOOK_S)
        return False

    async def _leave_threads(self, found: _Erased) -> None:
        """Messages in another user's thread are part of it and stay; the membership ends."""
        async with aclosing(self._traces.naming(found.principal)) as threads:
            async for thread in threads:
                named = member = True
                with suppress(
                    ArchiveDamaged, ArchiveUnavailable, LogLost
                ):  # damage of another owner's thread
                    named, member = await self._named_in(thread, found.principal)
                if member and self._leave is not None:
                    with suppress(RhapsodeError):
                        await self._leave(thread, found.principal)
                if named:
                    found.threads.append(thread)

    async def _named_in(self, thread: SessionId, principal: str) -> tuple[bool, bool]:
        """Whether the thread's events name the principal, and whether they are a member now."""
        named = member = False
        after = Seq(0)
        while page := await self._log.read(thread, after, limit=_PAGE):
            after = page[-1].seq
            for event in page:
                if event.type in ("member.added", "member.removed") and event.data["principal"] == principal:
                    named, member = True, event.type == "member.added"
                named = named or (event.type == "turn.requested" and event.data.get("by") == principal)
        return named, member

    async def _erase_all(self, found: _Erased) -> None:
        """Adds to `found`, before each deletion."""
        for _ in range(ROUNDS):
            new = [s async for s in self._sessions(found.principal) if s not in found.sessions]
            for session in dict.fromkeys(new):  # most are found both ways, and erased once
                await self._erase(session, found)
            if not new:
                break

    async def _erase(self, session: SessionId, found: _Erased) -> None:
        n, chain = await self._fingerprint(session)
        found.archived += len(await self._log.archive.store.files(session))
        if await self._kind(session) == "collection":
            found.collections.append(CollectionId(session))
        found.sessions[session] = ErasedSession(session_id=session, n=n, sha256=chain.hex())
        try:
            await self._delete(session)
        except (SessionGone, SessionNotFound):
            await self._log.delete(session)

    async def _erase_traces(self, found: _Erased) -> None:
        """Workers would do this when they get there; an erasure is not over before it is done."""
        async with aclosing(self._directory.all_of(found.principal)) as listed:
            found.gone = [session async for session in listed if session not in found.sessions]
        heads = await self._log.heads(found.gone) if found.gone else []
        found.gone = [
            session
            for session, head in zip(found.gone, heads, strict=True)
            if head is None or head.state == "deleted"
        ]
        broken_off = await self._log.archival.intents(self._clock.now_ms())
        heads = await self._log.heads(broken_off) if broken_off else []
        deleted = [s for s, head in zip(broken_off, heads, strict=True) if head and head.state == "deleted"]
        for session in dict.fromkeys((*found.gone, *deleted)):
            await self._log.delete(session)  # an earlier try may have died midway
        await self._drop_left(found)
        await self._traces.forget((*found.sessions, *found.gone))
        if self._library is not None:
            with suppress(RhapsodeError):
                found.scrubbed = await self._library.scrub()

    async def _drop_left(self, found: _Erased) -> None:
        """Documents of collections whose sessions were deleted before, by somebody who died midway."""
        if self._library is not None:
            for session in found.gone:
                if await self._library.drop(CollectionId(session)):
                    found.collections.append(CollectionId(session))

    async def _look_again(self, found: _Erased) -> None:
        sessions = (*found.sessions, *found.gone)
        for session in sessions:
            found.keys_left += await self._log.archival.remains(session)
            found.files_left += len(await self._log.archive.store.files(session))
        found.keys_left += len([s async for s in self._sessions(found.principal) if s not in found.sessions])
        found.rows_left = await self._traces.remain(sessions)
        for collection in found.collections:
            found.documents_left += await self._documents_left(collection)

    async def _documents_left(self, collection: CollectionId) -> int:
        """1 as well where nobody can say."""
        try:
            if self._library is not None:
                await self._library.views(collection)
        except CollectionNotFound:
            return 0
        except RhapsodeError:
            return 1
        return 1

    async def _prove(self, found: _Erased, log: Rewritten, *, failed: bool = False) -> ErasureProof:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1_000, UTC)
        left = found.keys_left + found.files_left + found.rows_left + found.documents_left
        proof = ErasureProof(
            principal_sha256=sha256(found.principal.encode()).hexdigest(),
            erased_at=now.isoformat(timespec="milliseconds"),
            sessions=tuple(found.sessions.values()),
            found_after=1 if failed else left,
            log_rewritten=0 < log.servers == log.done,
            log_servers=log.servers,
            log_servers_rewritten=log.done,
            places=() if failed else (*_looked_at(found, log), *_ELSEWHERE),
        )
        path = f"proofs/{now:%Y%m%dT%H%M%S%f}-{proof.principal_sha256[:16]}.json"
        await self._log.archive.store.put_note(path, proof.model_dump_json(indent=1).encode())
        return proof

    async def _sessions(self, principal: str) -> AsyncGenerator[SessionId, None]:
        """By the directory, and by the events of those that may be too new to be in it."""
        async with aclosing(self._directory.all_of(principal)) as listed:
            async for session in listed:
                [head] = await self._log.heads([session])
                if head is not None and head.state != "deleted":
                    yield session
        async with aclosing(self._log.archival.statuses()) as pages:
            async for page in pages:
                for session in [session for session, status in page if status.state != "deleted"]:
                    first = await self._log.hot.read(session, Seq(0), limit=1)
                    if first and first[0].data.get("principal", "") == principal:
                        yield session

    async def _kind(self, session: SessionId) -> str:
        first = await self._log.read(session, Seq(0), limit=1)
        return str(first[0].data.get("kind", "session")) if first else "session"

    async def _fingerprint(self, session: SessionId) -> tuple[Seq, bytes]:
        """How long the session is, and the chain to its end: from its archive, continued through the log."""
        archived = await self._log.archive.head(session)
        last, chain = (archived.last, archived.chain) if archived else (Seq(0), FIRST_LINK)
        while page := await self._log.archival.entries(session, last, _PAGE):
            for event in page:
                chain = link(chain, event)
            last = page[-1].seq
        return last, chain


def _looked_at(found: _Erased, log: Rewritten) -> Sequence[ErasurePlace]:
    """Findings in the places that were searched."""
    sessions = len(found.sessions) + len(found.gone)
    return (
        _place("sessions", sessions, found.keys_left == 0, f"{found.keys_left} keys are still in the log"),
        _place("archive", found.archived, found.files_left == 0, f"{found.files_left} files are still there"),
        _place("session_list", sessions, found.rows_left == 0, f"{found.rows_left} rows are still there"),
        _documents_place(found),
        _threads_place(found),
        _place(
            "log_files",
            log.servers,
            0 < log.servers == log.done,
            f"{log.done} of {log.servers} servers have written their files anew (docs/redis.md, Erasing)",
        ),
    )


def _place(name: str, count: int, done: bool, failure: str) -> ErasurePlace:
    state = "pending" if not done else "erased" if count else "clear"
    values: Mapping[str, object] = {"place": name, "state": state, "found": count}
    return ErasurePlace.model_validate({**values, "detail": "" if done else failure})


def _documents_place(found: _Erased) -> ErasurePlace:
    if found.documents_left:
        return _place("documents", len(found.collections), False, "collections are still in the store")
    failure = (
        "the store may still have their text in its files: PostgreSQL until VACUUM FULL, and in its WAL"
        if found.scrubbed is False
        else "the store cannot be reached: its files were not looked after"
    )
    return _place("documents", len(found.collections), found.scrubbed is True, failure)


def _threads_place(found: _Erased) -> ErasurePlace:
    """Events in threads of other users stay until their owner or an administrator deletes them."""
    if found.threads:
        return ErasurePlace(
            place="threads_of_others",
            state="kept",
            found=len(found.threads),
            sessions=tuple(found.threads),
            detail="questions asked as a guest, their answers and the user's name stay in these threads "
            "until their owner or an administrator deletes them; the membership has ended"
            + ("" if found.list_current else "; there may be more, for the list of sessions is behind"),
        )
    failure = "the list of sessions is behind: there may be words of theirs in threads of others"
    return _place("threads_of_others", 0, found.list_current, failure)
