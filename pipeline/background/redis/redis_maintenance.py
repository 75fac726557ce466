"""Maintenance of the log, and the state of the workers, on Redis."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from pipeline.background.consumer_lag import ConsumerLag, ConsumerPresence, GroupLag, ProjectionLag
from pipeline.background.event_counts import key_of, summed
from pipeline.background.redis.pointers import LETTERS, READERS, checkpoint, letter_of, parking
from pipeline.background.redis.redis_projections import ask_for_rebuild
from pipeline.background.worker_ports import START, Letter
from pipeline.eventlog.redis.redis_log import RedisEventLog, good
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId

LAG_MOST: Final = 1_000
"""Largest lag that is counted in one partition."""
LETTERS_MOST: Final = 10_000


async def lags(log: RedisEventLog) -> list[ConsumerLag]:
    """One for each partition, in order; none for those whose server is away."""
    keys = await log.keys()
    exist = await log.partly(*(("EXISTS", keys.triggers(p)) for p in range(keys.partitions)))
    there = {p: found for p, found in enumerate(exist) if not isinstance(found, Exception)}
    every = list(there)
    streams = {p: keys.triggers(p) for p in every}
    first = await log.call(
        *(("SMEMBERS", keys.beside(p, READERS)) for p in every),
        *(("FCALL_RO", "ew3_dead", 1, keys.beside(p, LETTERS), LETTERS_MOST) for p in every),
    )
    readers, dead = (dict(zip(every, first[at : at + len(every)], strict=True)) for at in (0, len(every)))
    begun = [p for p in every if there[p]]
    lengths = dict(zip(begun, await _each(log, [("XLEN", streams[p]) for p in begun]), strict=True))
    found = dict(zip(begun, await _each(log, [("XINFO", "GROUPS", streams[p]) for p in begun]), strict=True))
    groups = await _groups(log, [(p, streams[p], _pairs(flat)) for p in begun for flat in found[p]])
    named = [(p, name.decode()) for p in every for name in readers[p]]
    projections = await _projections(log, named)
    return [
        ConsumerLag(
            partition=p,
            length=int(lengths.get(p, 0)),
            groups=[group for at, group in groups if at == p],
            projections=[one for at, one in projections if at == p],
            dead_letters={name.decode(): int(count) for name, count in _pairs(dead[p]).items()},
        )
        for p in every
    ]


async def _each(log: RedisEventLog, commands: Sequence[Command]) -> list[Any]:
    return await log.call(*commands) if commands else []


def _pairs(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def _groups(
    log: RedisEventLog, found: Sequence[tuple[int, str, Mapping[bytes, Any]]]
) -> list[tuple[int, GroupLag]]:
    held = [number for number, (_, _, group) in enumerate(found) if group[b"pending"]]
    pending = await _each(log, [("XPENDING", found[n][1], found[n][2][b"name"]) for n in held])
    oldest = {number: first for number, (_, first, *_) in zip(held, pending, strict=True) if first}
    lags = [group.get(b"lag") for _, _, group in found]
    # The server does not know a lag any more after some kinds of trimming: then we count.
    unknown = [number for number, lag in enumerate(lags) if lag is None]
    counted = await _each(log, [_behind(found[n][1], found[n][2][b"last-delivered-id"]) for n in unknown])
    for number, lag in zip(unknown, counted, strict=True):
        lags[number] = lag
    return [
        (
            partition,
            GroupLag(
                name=group[b"name"].decode(),
                lag=int(lag or 0),
                pending=int(group[b"pending"]),
                oldest_pending=oldest[number].decode() if number in oldest else None,
                last_delivered=group[b"last-delivered-id"].decode(),
                consumers=int(group[b"consumers"]),
            ),
        )
        for number, ((partition, _, group), lag) in enumerate(zip(found, lags, strict=True))
    ]


async def _projections(
    log: RedisEventLog, named: Sequence[tuple[int, str]]
) -> list[tuple[int, ProjectionLag]]:
    keys = await log.keys()
    places = await _each(log, [("HMGET", keys.beside(p, checkpoint(name)), "id", "re") for p, name in named])
    parked = await _each(log, [("HLEN", keys.beside(p, parking(name))) for p, name in named])
    behind = await _each(
        log,
        [_behind(keys.triggers(p), place or START) for (p, _), (place, _) in zip(named, places, strict=True)],
    )
    return [
        (
            partition,
            ProjectionLag(
                name=name,
                place=place.decode() if place else START,
                lag=int(lag),
                parked=int(count),
                rebuilding=rebuild == b"1",
            ),
        )
        for (partition, name), (place, rebuild), count, lag in zip(named, places, parked, behind, strict=True)
    ]


def _behind(stream: str, entry: str | bytes) -> Command:
    return ("FCALL_RO", "ew3_behind", 1, stream, entry, LAG_MOST)


PRESENCES: Final = "ev:workers"
"""A hash of the whole log: worker process -> when it was last seen, and what it runs."""
_PAGE: Final = 500
_LETTER_ID: Final = re.compile(r"(\d{1,4})\.(\d{1,15}-\d{1,15})")


class RedisMaintenance:
    """Short looks and idempotent repairs, from any process."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    # ---------------------------------------------------------------- how things stand

    async def announce(self, presence: ConsumerPresence) -> None:
        await self._log.call(("HSET", PRESENCES, presence.worker, presence.packed()))

    async def retire(self, workers: Sequence[str]) -> None:
        if workers:
            await self._log.call(("HDEL", PRESENCES, *workers))

    async def presences(self) -> list[ConsumerPresence]:
        [flat] = await self._log.call(("HGETALL", PRESENCES))
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return [ConsumerPresence.unpacked(name.decode(), packed) for name, packed in pairs]

    async def now_ms(self) -> int:
        """On the log server's clock, which made the entries' ids."""
        return await self._log.now_ms()

    async def lags(self) -> list[ConsumerLag]:
        """One for each partition, in order."""
        return await lags(self._log)

    async def counted(self, day: str) -> dict[str, int]:
        """Counts of the stats effect on that day, by type."""
        keys = await self._log.keys()
        names = [keys.beside(p, key_of(day)) for p in range(keys.partitions)]
        return summed(await self._log.call(*(("HGETALL", name) for name in names)))

    # ---------------------------------------------------------------- repairs

    async def trim(self, partition: int, before: str) -> int:
        """Drop pointers older than this one; a few of them may stay a while."""
        keys = await self._log.keys()
        [dropped] = await self._log.call(("XTRIM", keys.triggers(partition), "MINID", "~", before))
        return int(dropped)

    async def forget_consumers(self, partition: int, group: str, *, idle_s: float) -> int:
        keys = await self._log.keys()
        idle_ms = int(idle_s * 1000)
        [swept] = await self._log.call(("FCALL", "ew3_sweep", 1, keys.triggers(partition), group, idle_ms))
        return int(swept)

    async def idle(self, before_ms: int) -> AsyncGenerator[list[SessionId], None]:
        """Sessions that have not ended and in which nothing happened since then, page by page.

        Those of servers that are away come another time.
        """
        keys = await self._log.keys()
        start, partitions = 0, list(range(keys.partitions))
        while partitions:
            window: Command = ("LIMIT", start, _PAGE)
            pages = await self._log.partly(
                *(("ZRANGEBYSCORE", keys.live(p), "-inf", before_ms, *window) for p in partitions)
            )
            for names in good(pages):
                if names:
                    yield [SessionId(name.decode()) for name in names]
            full = [not isinstance(page, Exception) and len(page) == _PAGE for page in pages]
            partitions, start = [p for p, more in zip(partitions, full, strict=True) if more], start + _PAGE

    async def latest_ms(self, sessions: Sequence[SessionId]) -> list[int | None]:
        """When something last happened in each, to a second; None: it has ended."""
        keys = await self._log.keys()
        commands: list[Command] = [("ZSCORE", keys.live(keys.partition(s)), s) for s in sessions]
        scores = await self._log.call(*commands) if commands else []
        return [None if score is None else int(float(score)) for score in scores]

    async def listeners(self, sessions: Sequence[SessionId]) -> list[int]:
        """How many gateways follow each session, for listeners or as its owner."""
        keys = await self._log.keys()
        if not sessions:
            return []
        commands: list[Command] = [("PUBSUB", "SHARDNUMSUB", keys.meta(session)) for session in sessions]
        return [int(count) for [_, count] in await self._log.call(*commands)]

    async def rebuild(self, projection: str) -> bool:
        """Its readers make it anew; False: no projection of this name was ever read for."""
        return await ask_for_rebuild(self._log, projection)

    async def deleted(self, sessions: Sequence[SessionId]) -> list[bool]:
        """Which of them have a tombstone."""
        keys = await self._log.keys()
        commands: list[Command] = [("HGET", keys.meta(session), "st") for session in sessions]
        return [state == b"deleted" for state in await self._log.call(*commands)] if commands else []

    # ---------------------------------------------------------------- dead letters

    @staticmethod
    def is_letter_id(name: str) -> bool:
        return _LETTER_ID.fullmatch(name) is not None

    async def letters(self, after: str | None, limit: int) -> list[Letter]:
        """By partition, oldest first in each."""
        keys = await self._log.keys()
        first, entry = (0, "-") if after is None else _place(after)
        found: list[Letter] = []
        for partition in range(first, keys.partitions):
            start = f"({entry}" if partition == first and after is not None else "-"
            wanted = limit - len(found)
            [page] = await self._log.call(
                ("XRANGE", keys.beside(partition, LETTERS), start, "+", "COUNT", wanted)
            )
            found += [letter_of(partition, one) for one in page]
            if len(found) >= limit:
                break
        return found

    async def letter(self, name: str) -> Letter | None:
        keys = await self._log.keys()
        if self.is_letter_id(name) and (place := _place(name))[0] < keys.partitions:
            partition, entry = place
            [found] = await self._log.call(("XRANGE", keys.beside(partition, LETTERS), entry, entry))
            return letter_of(partition, found[0]) if found else None
        return None

    async def retry(self, letter: Letter) -> bool:
        """Hand the event to its reader again; False: the letter is gone."""
        keys = await self._log.keys()
        names = (keys.beside(letter.partition, LETTERS), keys.triggers(letter.partition))
        [done] = await self._log.call(("FCALL", "ew3_retry", 2, *names, letter.entry))
        return bool(done)

    async def drop(self, letter: Letter) -> bool:
        """False: the letter is gone."""
        keys = await self._log.keys()
        names = (
            keys.beside(letter.partition, LETTERS),
            keys.beside(letter.partition, parking(letter.reader)),
        )
        [done] = await self._log.call(("FCALL", "ew3_drop", 2, *names, letter.entry))
        return bool(done)


def _place(name: str) -> tuple[int, str]:
    partition, _, entry = name.partition(".")
    return int(partition), entry
