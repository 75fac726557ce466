"""Everything of one user is erased, and then looked for: what is left to say is a proof."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Protocol

from pipeline.archive.chain import FIRST_LINK, link
from pipeline.clock import Clock
from pipeline.log.rewriting import Rewritten, rewrite
from pipeline.log.tiered import TieredLog
from schemas.errors import LogError, SessionGone, SessionNotFound
from schemas.ids import Seq, SessionId
from schemas.transfers import ErasedSession, ErasureProof

ROUNDS: Final = 3
"""Sessions may be created while others are erased."""
REWRITE_S: Final = 20.0
_PAGE: Final = 500


class Directory(Protocol):
    """Who has which sessions."""

    def all_of(self, principal: str) -> AsyncGenerator[SessionId, None]: ...


class Eraser:
    """Erases users. `delete` ends a session, tells its listeners and erases it."""

    def __init__(
        self,
        log: TieredLog,
        directory: Directory,
        delete: Callable[[SessionId], Awaitable[None]],
        clock: Clock,
        *,
        rewrite_s: float = REWRITE_S,
    ) -> None:
        """`rewrite_s`: the proof waits so long for the log's servers to write their files anew."""
        self._log = log
        self._directory = directory
        self._delete = delete
        self._clock = clock
        self._rewrite_s = rewrite_s

    async def erase(self, principal: str) -> ErasureProof:
        """Delete every session of theirs, hot and archived; the proof is kept in the archive.

        Nothing is erased while too few replicas of the log answer: that raises LogUnavailable. Sound to call
        again after a failure, of which a proof is kept as well: what is gone is not there to be found.
        """
        await self._log.hot.settled()
        erased: dict[SessionId, ErasedSession] = {}
        try:
            await self._erase_all(principal, erased)
            left = sum([await self._remains(session) for session in erased])
            left += len([session async for session in self._sessions(principal) if session not in erased])
        except LogError:
            if erased:  # whoever tries again does not find these any more
                with suppress(LogError):
                    await self._prove(principal, erased, 1, Rewritten(0, 0))
            raise
        log = Rewritten(0, 0)
        if erased:
            with suppress(LogError):  # that there is a proof matters more
                log = await rewrite(self._log.hot, self._rewrite_s)
        return await self._prove(principal, erased, left, log)

    async def _erase_all(self, principal: str, erased: dict[SessionId, ErasedSession]) -> None:
        """Adds to `erased`, before each deletion."""
        for _ in range(ROUNDS):
            found = [session async for session in self._sessions(principal) if session not in erased]
            for session in found:
                n, chain = await self._fingerprint(session)
                erased[session] = ErasedSession(session_id=session, n=n, sha256=chain.hex())
                try:
                    await self._delete(session)
                except (SessionGone, SessionNotFound):
                    await self._log.delete(session)
            if not found:
                break

    async def _prove(
        self, principal: str, erased: Mapping[SessionId, ErasedSession], left: int, log: Rewritten
    ) -> ErasureProof:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1_000, UTC)
        proof = ErasureProof(
            principal_sha256=sha256(principal.encode()).hexdigest(),
            erased_at=now.isoformat(timespec="milliseconds"),
            sessions=tuple(erased.values()),
            found_after=left,
            log_rewritten=0 < log.servers == log.done,
            log_servers=log.servers,
            log_servers_rewritten=log.done,
        )
        path = f"proofs/{now:%Y%m%dT%H%M%S%f}-{proof.principal_sha256[:16]}.json"
        await self._log.archive.store.put_note(path, proof.model_dump_json(indent=1).encode())
        return proof

    async def _sessions(self, principal: str) -> AsyncGenerator[SessionId, None]:
        """By the directory, and by the facts of those that may be too new to be in it."""
        async with aclosing(self._directory.all_of(principal)) as listed:
            async for session in listed:
                [head] = await self._log.heads([session])
                if head is not None and head.state != "deleted":
                    yield session
        async with aclosing(self._log.archival.standings()) as pages:
            async for page in pages:
                for session in [session for session, standing in page if standing.state != "deleted"]:
                    first = await self._log.hot.read(session, Seq(0), limit=1)
                    if first and first[0].data.get("principal", "") == principal:
                        yield session

    async def _fingerprint(self, session: SessionId) -> tuple[Seq, bytes]:
        """How long the session is, and the chain to its end: from its archive, continued through the log."""
        archived = await self._log.archive.head(session)
        last, chain = (archived.last, archived.chain) if archived else (Seq(0), FIRST_LINK)
        while page := await self._log.archival.entries(session, last, _PAGE):
            for fact in page:
                chain = link(chain, fact)
            last = page[-1].seq
        return last, chain

    async def _remains(self, session: SessionId) -> int:
        """Keys in the log and files in the archive; a tombstone says nothing but that it is one."""
        files = await self._log.archive.store.files(session)
        return await self._log.archival.remains(session) + len(files)
