"""The port between the log and its archive: raw entries go out, and archived segments are announced back."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pipeline.eventlog.archive.segments import FIRST_LINK, StoredEvent
from pipeline.eventlog.event_log import TOMBSTONE_S, State
from pipeline.eventlog.redis.codec import Argument, Keys, entry_seq
from pipeline.eventlog.redis.redis_log import STATES, RedisEventLog, good, named
from pipeline.eventlog.redis.server import Command
from schemas.ids import Seq, SessionId, parse_session_id

META_S: Final = 86_400
"""So much longer than its events the meta of an archived session stays."""
_PAGE: Final = 1_000


class ArchiveVerdict(StrEnum):
    """Answer of the log to an archived segment. After OK and DUP the segment counts as archived."""

    OK = "OK"
    DUP = "DUP"
    DIFFERS = "DIFFERS"
    """The same events are archived, with another content."""
    AHEAD = "AHEAD"
    """The log has lost events that were archived."""
    CONFLICT = "CONFLICT"
    """Another archiver archives this session."""
    NO_SESSION = "NOSESSION"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """How much of a session is archived."""

    seq: Seq
    archived: Seq
    chain: bytes
    state: State
    ts_ms: int
    """Of the latest event."""
    size: int = 0
    """Bytes of all events and their audio, as the log counts them."""


class Archival:
    """The archive's functions in the log server. Every call may be repeated."""

    def __init__(self, log: RedisEventLog) -> None:
        self.log = log

    async def _function(self, name: str, session: SessionId, *arguments: Argument) -> Any:
        [reply] = await self.log.call(await self._call(name, session, *arguments))
        return reply

    async def _call(self, name: str, session: SessionId, *arguments: Argument) -> Command:
        keys = _keys(await self.log.keys(), session)
        return ("FCALL", name, len(keys), *keys, session, *arguments)

    async def entries(self, session: SessionId, after: Seq, limit: int) -> list[StoredEvent]:
        """At most `limit` events of the hot log, byte for byte, from `after` + 1 or its beginning on."""
        keys = await self.log.keys()
        first = f"{after + 1}-0"
        [found] = await self.log.call(("XRANGE", keys.events(session), first, "+", "COUNT", limit))
        if not found:
            return []
        [sound] = await self.log.call(
            ("XRANGE", keys.audio(session), _id(found[0]), _id(found[-1])),
        )
        audio = {entry_seq(entry): entry[1][1] for entry in sound}
        return [
            StoredEvent(seq, tuple(entry[1]), audio.get(seq, b""))
            for entry in found
            if (seq := entry_seq(entry))
        ]

    async def begin(
        self, session: SessionId, who: str, *, lease_ms: int, now_ms: int
    ) -> ArchiveStatus | None:
        """Announce that files of the session will be written or erased; None: somebody else is at it.

        `intents` names the session until `settle` was called, whatever happens to the caller.
        """
        word, *meta = await self._function("ea2_begin", session, who, lease_ms, now_ms)
        return None if word != b"OK" else _standing(meta)

    async def settle(self, session: SessionId, who: str, *, began_ms: int) -> None:
        """Marks the announcement of that time as done; a later announcement stands."""
        await self._function("ea2_settle", session, who, began_ms)

    async def archived(
        self, session: SessionId, who: str, *, first: Seq, last: Seq, chain: bytes, hot_s: int
    ) -> ArchiveVerdict:
        """These events were read back from the archive. With the last one of a closed session, all expire."""
        stay = (hot_s, hot_s + META_S)
        word, _ = await self._function("ea2_archived", session, who, first, last, chain, *stay)
        return ArchiveVerdict(word.decode())

    async def trim(self, session: SessionId, keep: int, keep_bytes: int) -> int:
        """Drop archived events of a live session but the latest `keep`, or fewer of about `keep_bytes`.

        Returns how many were dropped."""
        return int(await self._function("ea2_trim", session, keep, keep_bytes))

    async def mark_deleted(self, session: SessionId, seq: Seq, generation: str) -> None:
        """A tombstone for a deleted session of which the log knows nothing any more.

        Raises NotCertain as `EventLog.delete` does.
        """
        command = await self._call("ea2_bury", session, seq, generation, TOMBSTONE_S)
        await self.log.write(session, command)

    async def intents(self, before_ms: int) -> list[SessionId]:
        """Sessions that somebody began to archive or erase before then, and has not settled.

        Of the servers that answer: it is asked again and again.
        """
        keys = await self.log.keys()
        commands: list[Command] = [
            ("ZRANGEBYSCORE", _intents(keys, p), "-inf", before_ms) for p in range(keys.partitions)
        ]
        return named(good(await self.log.partly(*commands)))

    async def statuses(self) -> AsyncGenerator[list[tuple[SessionId, ArchiveStatus]], None]:
        """Every session of the hot log, page by page; some may be named twice.

        Raises LogUnavailable at the end where a server was away: the others' sessions have been named then.
        """
        keys = await self.log.keys()
        async with aclosing(self.log.client.scan("ev:{p*}:m:*", _PAGE)) as pages:
            async for names in pages:
                found = [name.decode().rpartition(":")[2] for name in names]
                sessions = [session for name in found if (session := parse_session_id(name))]
                yield await self._statuses(keys, sessions)

    async def _statuses(
        self, keys: Keys, sessions: Sequence[SessionId]
    ) -> list[tuple[SessionId, ArchiveStatus]]:
        if not sessions:
            return []
        fields = ("seq", "ar", "ac", "st", "ts", "by")
        metas = await self.log.call(*(("HMGET", keys.meta(session), *fields) for session in sessions))
        return [(session, _standing(meta)) for session, meta in zip(sessions, metas, strict=True)]

    async def remains(self, session: SessionId) -> int:
        """How many keys the log has of the session; a tombstone does not count."""
        keys = await self.log.keys()
        streams, state = await self.log.call(
            ("EXISTS", keys.events(session), keys.audio(session)),
            ("HGET", keys.meta(session), "st"),
        )
        [meta] = await self.log.call(("EXISTS", keys.meta(session)))
        return int(streams) + (int(meta) if state != b"deleted" else 0)


def _intents(keys: Keys, partition: int) -> str:
    return keys.beside(partition, "archiving")


def _keys(keys: Keys, session: SessionId) -> tuple[str, ...]:
    partition = keys.partition(session)
    return (*keys.of(session), _intents(keys, partition), keys.beside(partition, f"arl:{session}"))


def _id(entry: Sequence[Any]) -> bytes:
    return bytes(entry[0])


def _standing(meta: Sequence[bytes | None]) -> ArchiveStatus:
    """A session that the log does not know stands at zero."""
    seq, archived, chain, state, ts, size = (*meta, *[None] * 6)[:6]
    return ArchiveStatus(
        seq=Seq(int(seq or 0)),
        archived=Seq(int(archived or 0)),
        chain=chain or FIRST_LINK,
        state=STATES[state],
        ts_ms=int(ts or 0),
        size=int(size or 0),
    )
