"""The list of all sessions by whose they are: a projection, and how it is read."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, get_args

import orjson

from pipeline.background.answer_search import AnswerSearch
from pipeline.background.worker_ports import SESSION_DELETED, Change, Pointer
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.errors import CursorMalformed
from schemas.events import TERMINAL, Kind
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, is_digits, parse_session_id
from schemas.native.worker_answers import ListedSession, SessionList

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ROWS: Final = "d"
"""A hash of the partition: session -> row."""
_PAGE: Final = 500
_TELLING: Final = frozenset({"session.renamed", "member.added", "member.removed"})
_ASKED: Final = 200
"""Characters of one question that can be searched ..."""
_KEPT: Final = 1_000
"""... and of the latest ones together, beside the first."""
_GUESTS: Final = 200
"""Names that a row has room for; on an open server clients make them up."""
_LOOKED_AT: Final = 2_000
"""Sessions that one search looks at; `next` goes on from there."""
_SILENT: Final = frozenset({"collection", "stream", "user"})
"""Kinds without answers."""
Place = tuple[int, SessionId]
"""Creation time and id: what sessions are ordered by."""


@dataclass(frozen=True, slots=True)
class DirectoryRow:
    """One session; `seq` is the last event counted, so that none counts twice."""

    kind: Kind
    title: str
    principal: str
    parent: str | None
    created_ms: int
    latest_ms: int
    turns: int = 0
    state: Literal["live", "sealed"] = "live"
    seq: int = 1
    members: tuple[str, ...] = ()
    asked: str = ""
    """The questions of a conversation, as far as they can be searched."""
    guests: tuple[str, ...] | None = None
    """Users that were ever members of a thread or asked in it; None: they are not known, since the row is
    older than this field, or there were more than _GUESTS."""

    @classmethod
    def begin(cls, started: Recorded) -> "DirectoryRow":
        data, ts_ms = started.data, started.ts_ms
        return cls(
            kind=data.get("kind", "session"),
            title=data.get("title", ""),
            principal=data.get("principal", ""),
            parent=data.get("parent"),
            created_ms=ts_ms,
            latest_ms=ts_ms,
            guests=(),
        )

    def tells(self, kind: str) -> bool:
        """Whether what an event of this type says matters, and not only that there is one."""
        return kind in _TELLING or (kind == "turn.requested" and self.kind == "thread")

    def after(self, kind: str, seq: int, ts_ms: int, data: Mapping[str, Any] | None = None) -> "DirectoryRow":
        """With one more event; itself where that one has counted. `data`: where it tells."""
        if seq <= self.seq:
            return self
        return replace(
            self if data is None else self._with_data(kind, data),
            seq=seq,
            latest_ms=max(self.latest_ms, ts_ms),
            turns=self.turns + (kind == "turn.requested"),
            state="sealed" if kind == "session.ended" else self.state,
        )

    def _with_data(self, kind: str, data: Mapping[str, Any]) -> "DirectoryRow":
        match kind:
            case "session.renamed":
                return replace(self, title=data["title"])
            case "member.added" if data["principal"]:  # none in a copy
                row = self._with_guest(data["principal"])
                return replace(row, members=tuple(dict.fromkeys((*self.members, data["principal"]))))
            case "member.added" | "member.removed":
                return replace(self, members=tuple(m for m in self.members if m != data["principal"]))
            case _:
                question = "" if data.get("continues") else data["text"][:_ASKED]
                asked = f"{self.asked}\n{question}".strip()
                row = self._with_guest(data.get("by", ""))
                return replace(row, asked=asked if len(asked) <= _KEPT else asked[:_ASKED] + asked[-_KEPT:])

    def _with_guest(self, name: str) -> "DirectoryRow":
        if not name or self.guests is None or name in self.guests:
            return self
        return replace(self, guests=(*self.guests, name) if len(self.guests) < _GUESTS else None)

    def may_name(self, principal: str) -> bool:
        """Whether somebody else's thread may have words of this principal, or their name."""
        if self.kind != "thread" or self.principal == principal:
            return False
        return self.guests is None or principal in self.guests or principal in self.members

    @property
    def _orders(self) -> list[str]:
        return [order_key(self.kind, name) for name in dict.fromkeys((self.principal, *self.members))]

    def written(self, session: SessionId, before: "DirectoryRow | None" = None) -> list[Change]:
        row = orjson.dumps(asdict(self))
        gone = [] if before is None else [key for key in before._orders if key not in self._orders]
        return [
            Change("HSET", ROWS, (session, row)),
            *(Change("ZADD", key, (self.created_ms, session)) for key in self._orders),
            *(Change("ZREM", key, (session,)) for key in gone),
        ]

    def removed(self, session: SessionId) -> list[Change]:
        return [
            Change("HDEL", ROWS, (session,)),
            *(Change("ZREM", key, (session,)) for key in self._orders),
        ]

    def lacks(self, words: Sequence[str]) -> list[str]:
        """Those of the words, in lower case, that are neither in its title nor in its questions."""
        text = f"{self.title}\n{self.asked}".casefold()
        return [word for word in words if word not in text]

    def listed(self, session: SessionId) -> ListedSession:
        values = asdict(self)
        del values["seq"], values["asked"], values["members"], values["guests"]
        return ListedSession(session_id=session, **values)


def order_key(kind: str, principal: str) -> str:
    """A sorted set of the partition: session -> creation time."""
    return f"dir:{kind}:{principal}"


class DirectoryProjection:
    """Keeps a row for every session that is not deleted."""

    name = "directory"
    types = TERMINAL | _TELLING | {"session.started", "turn.requested", "session.ended", SESSION_DELETED}

    def __init__(self, log: EventLog, store: "Directory") -> None:
        self._log = log
        self._store = store

    async def project(self, session: SessionId, pointers: Sequence[Pointer]) -> Sequence[Change]:
        before = await self._row(session)
        if pointers[-1].type == SESSION_DELETED:
            return [] if before is None else before.removed(session)
        row = before
        if row is None and pointers[0].type == "session.started":
            row = await self._begin(session)
        elif row is None:
            row = await self._fold(session)
        if row is None:
            return []
        for pointer in pointers:
            data = await self._said(session, pointer.seq) if row.tells(pointer.type) else None
            row = row.after(pointer.type, pointer.seq, pointer.at_ms, data)
        return [] if row == before else row.written(session, before)

    async def from_scratch(self, session: SessionId) -> Sequence[Change]:
        before, now = await self._row(session), await self._fold(session)
        if now is None:
            return [] if before is None else before.removed(session)
        return now.written(session, before)

    async def _said(self, session: SessionId, seq: int) -> Mapping[str, Any] | None:
        events = await self._log.read(session, Seq(seq - 1), limit=1)
        return events[0].data if events else None

    async def known(self, partition: int) -> Sequence[SessionId]:
        return await self._store.known(partition)

    async def _row(self, session: SessionId) -> DirectoryRow | None:
        [packed] = await self._store.rows([session])
        return None if packed is None else unpacked(packed)

    async def _begin(self, session: SessionId) -> DirectoryRow | None:
        events = await self._log.read(session, Seq(0), limit=1)
        return DirectoryRow.begin(events[0]) if events else None

    async def _fold(self, session: SessionId) -> DirectoryRow | None:
        """From all of its events; None: it is deleted, or never was."""
        [head] = await self._log.heads([session])
        row = None if head is None or head.state == "deleted" else await self._begin(session)
        after = Seq(1)
        while row is not None and (page := await self._log.read(session, after, limit=_PAGE)):
            after = page[-1].seq
            for event in page:
                if event.type in self.types:
                    data = event.data if row.tells(event.type) else None
                    row = row.after(event.type, event.seq, event.ts_ms, data)
        return row


def unpacked(packed: bytes) -> DirectoryRow:
    """Fields that a later version has added are passed over."""
    found = orjson.loads(packed)
    found["members"] = tuple(found.get("members", ()))
    found["guests"] = None if found.get("guests") is None else tuple(found["guests"])
    return DirectoryRow(**{name: value for name, value in found.items() if name in DirectoryRow.__slots__})


async def kinds_of(log: EventLog, store: "Directory", sessions: Sequence[SessionId]) -> list[Kind | None]:
    """Kinds of the sessions; None for what is no session."""
    kinds: list[Kind | None] = []
    for session, packed in zip(sessions, await store.rows(sessions), strict=True):
        events = [] if packed else await log.read(session, Seq(0), limit=1)  # the list lags a little
        if packed:
            kinds.append(unpacked(packed).kind)
        else:
            begun = events and events[0].type == "session.started"  # the log of a stream's name has none
            kinds.append(DirectoryRow.begin(events[0]).kind if begun else None)
    return kinds


class Directory:
    """Lists sessions: a row for each, and for each owner an order by creation.

    A new session is in the list a moment after it was created.
    """

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def rows(self, sessions: Sequence[SessionId]) -> list[bytes | None]:
        keys = await self._log.keys()
        if not sessions:
            return []
        commands: list[Command] = [
            ("HGET", keys.beside(keys.partition(session), ROWS), session) for session in sessions
        ]
        return await self._log.call(*commands)

    async def known(self, partition: int) -> list[SessionId]:
        keys = await self._log.keys()
        [names] = await self._log.call(("HKEYS", keys.beside(partition, ROWS)))
        return [SessionId(name.decode()) for name in names]

    async def newest(
        self, principal: str, kinds: Sequence[str], before: Place | None, limit: int
    ) -> list[Place]:
        """At most `limit` places before this one, newest first, over all partitions."""
        keys = await self._log.keys()
        names = [keys.beside(p, order_key(kind, principal)) for p in range(keys.partitions) for kind in kinds]
        highest = "+inf" if before is None else f"({before[0]}"
        commands: list[Command] = [
            ("ZREVRANGEBYSCORE", name, highest, "-inf", "WITHSCORES", "LIMIT", 0, limit) for name in names
        ]
        if before is not None:  # those of the same millisecond are in order by id
            commands += [("ZRANGEBYSCORE", name, before[0], before[0], "WITHSCORES") for name in names]
        found = {
            (int(score), SessionId(name.decode()))
            for reply in await self._log.call(*commands)
            for name, score in zip(reply[::2], reply[1::2], strict=True)
        }
        return sorted((place for place in found if before is None or place < before), reverse=True)[:limit]

    async def list(
        self,
        principal: str,
        *,
        kinds: Sequence[Kind] = KINDS,
        before: str | None = None,
        limit: int = 50,
        query: str = "",
        answers: AnswerSearch | None = None,
    ) -> SessionList:
        """Newest first; with `query` those that have all of its words in their title or questions, or in what
        `answers` finds. Raises CursorMalformed for a `before` that is none of ours.
        """
        place = None if before is None else _place(before)
        if words := query.casefold().split():
            return await self._search(principal, kinds, words, place, limit, answers)
        places = await self.newest(principal, kinds, place, limit + 1)
        shown = [session for _, session in places[:limit]]
        rows = zip(shown, await self.rows(shown), strict=True)
        last = places[limit - 1] if len(places) > limit else None
        return SessionList(
            sessions=tuple(unpacked(row).listed(session) for session, row in rows if row is not None),
            next=last and f"{last[0]}.{last[1]}",
        )

    async def _search(
        self,
        principal: str,
        kinds: Sequence[str],
        words: Sequence[str],
        place: Place | None,
        limit: int,
        answers: AnswerSearch | None,
    ) -> SessionList:
        found: list[ListedSession] = []
        looked_at = 0
        while places := await self.newest(principal, kinds, place, _PAGE):
            rows = await self.rows([session for _, session in places])
            for place, packed in zip(places, rows, strict=True):
                row = None if packed is None else unpacked(packed)
                if row is not None and await _has(row, place[1], words, answers):
                    found.append(row.listed(place[1]))
                looked_at += 1
                if len(found) == limit or looked_at == _LOOKED_AT or (answers and answers.is_over):
                    return SessionList(sessions=tuple(found), next=f"{place[0]}.{place[1]}")
        return SessionList(sessions=tuple(found), next=None)

    async def all_of(self, principal: str) -> AsyncGenerator[SessionId, None]:
        """Every session of theirs, of whatever kind, newest first; not those that they only take part in."""
        place: Place | None = None
        while places := await self.newest(principal, KINDS, place, _PAGE):
            sessions = [session for _, session in places]
            for session, packed in zip(sessions, await self.rows(sessions), strict=True):
                if packed is not None and unpacked(packed).principal == principal:
                    yield session
            place = places[-1]


async def _has(
    row: DirectoryRow, session: SessionId, words: Sequence[str], answers: AnswerSearch | None
) -> bool:
    if not (lacking := row.lacks(words)):
        return True
    return answers is not None and row.kind not in _SILENT and await answers.finds(session, lacking)


def _place(cursor: str) -> Place:
    created, _, name = cursor.partition(".")
    session = parse_session_id(name)
    if session is None or not is_digits(created):
        raise CursorMalformed("this is no cursor of a list of sessions", field="before")
    return int(created), session
