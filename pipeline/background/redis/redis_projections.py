"""Trigger streams as projections see them, on Redis: in order, from a checkpoint."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from pipeline.background.redis.pointers import (
    ERROR_CHARS,
    LETTERS,
    READERS,
    checkpoint,
    letter_of,
    pack,
    packed_changes,
    parking,
    pointer_of,
)
from pipeline.background.worker_ports import START, Lease, Letter, Parking, Pointer, Step
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId

_PAGE: Final = 1_000


class RedisProjections:
    """Of one reader: from a place kept with what was made of the pointers. Holds a connection that waits."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._waiter = log.waiter()

    async def lease(self, projection: str, reader: str, *, ttl_s: float) -> list[Lease]:
        """Take or renew what nobody else holds. Partitions of servers that are away are not ours now."""
        keys = await self._log.keys()
        groups = self._log.together(range(keys.partitions))
        words = (projection, reader, int(ttl_s * 1000))
        replies = await self._log.partly(*(_lease_command(keys, some, *words) for some in groups))
        return [
            Lease(partition, epoch, place.decode(), rebuild == b"1")
            for some, reply in zip(groups, replies, strict=True)
            if not isinstance(reply, Exception)
            for partition, (epoch, place, rebuild) in zip(some, reply, strict=True)
            if epoch
        ]

    async def release(self, projection: str, reader: str) -> None:
        keys = await self._log.keys()
        name = checkpoint(projection)
        await self._log.partly(
            *(("FCALL", "ew3_release", 1, keys.beside(p, name), reader) for p in range(keys.partitions))
        )

    async def follow(self, places: Mapping[int, str], *, count: int, wait_s: float) -> list[Pointer]:
        """At most `count` pointers of each partition after these places; [] after `wait_s` without any."""
        keys = await self._log.keys()
        streams = {keys.triggers(partition): partition for partition in places}
        from_ = dict(zip(streams, places.values(), strict=True))
        found = await self._waiter.read(("XREAD", "COUNT", count), from_, wait_s)
        return [pointer_of(streams[name.decode()], entry) for name, entries in found for entry in entries]

    async def parked(self, projection: str, partition: int) -> set[SessionId]:
        keys = await self._log.keys()
        [names] = await self._log.call(("HKEYS", keys.beside(partition, parking(projection))))
        return {SessionId(name.decode()) for name in names}

    async def letters(self, projection: str, partition: int) -> Mapping[SessionId, list[Letter]]:
        """The dead letters of a projection by session, oldest first."""
        key = (await self._log.keys()).beside(partition, LETTERS)
        found: dict[SessionId, list[Letter]] = defaultdict(list)
        first = "-"
        while True:
            [page] = await self._log.call(("XRANGE", key, first, "+", "COUNT", _PAGE))
            for entry in page:
                letter = letter_of(partition, entry)
                if (letter.kind, letter.reader) == ("projection", projection):
                    found[letter.session].append(letter)
            if len(page) < _PAGE:
                return found
            first = f"({page[-1][0].decode()}"

    async def advance(self, projection: str, lease: Lease, step: Step) -> bool:
        """False: the lease is somebody else's by now (or this place is past), and nothing was written."""
        keys, p = await self._log.keys(), lease.partition
        names = [
            keys.beside(p, checkpoint(projection)),
            keys.beside(p, LETTERS),
            keys.beside(p, parking(projection)),
        ]
        written, packed = packed_changes(keys, p, step.changes, before=len(names))
        freed = [[session, *entries] for session, entries in (step.freed or {}).items()]
        arguments = (
            lease.epoch,
            lease.place,
            step.to,
            projection,
            packed,
            pack([_row(parking) for parking in step.parked]),
            pack(freed),
            "1" if step.rebuilt else "",
        )
        everything = (*names, *written)
        [done] = await self._log.call(("FCALL", "ew3_advance", len(everything), *everything, *arguments))
        return bool(done)

    async def sessions(self, partition: int) -> list[SessionId]:
        """Every session that the log knows, deleted ones included while their tombstone stands."""
        keys = await self._log.keys()
        found: dict[SessionId, None] = {}
        async with aclosing(self._log.client.scan(keys.beside(partition, "m:*"), _PAGE)) as pages:
            async for names in pages:
                found |= {SessionId(name.decode().rpartition(":")[2]): None for name in names}
        return list(found)

    async def end(self, partition: int) -> str:
        """The place of the latest pointer."""
        keys = await self._log.keys()
        [entries] = await self._log.call(("XREVRANGE", keys.triggers(partition), "+", "-", "COUNT", 1))
        return entries[0][0].decode() if entries else START

    async def aclose(self) -> None:
        """The log stays open: it is the caller's."""
        await self._waiter.aclose()


def _lease_command(keys: Keys, partitions: Sequence[int], *words: str | int) -> Command:
    pairs = [(keys.beside(p, checkpoint(str(words[0]))), keys.beside(p, READERS)) for p in partitions]
    names = [name for pair in pairs for name in pair]
    return ("FCALL", "ew3_lease", len(names), *names, *words)


def _row(parked: Parking) -> list[Any]:
    pointer = parked.pointer
    error = parked.error[:ERROR_CHARS]
    return [pointer.entry, pointer.session, str(pointer.seq), pointer.type, error, str(parked.tries)]


async def ask_for_rebuild(log: RedisEventLog, projection: str) -> bool:
    """The projection's readers make it anew; False: no such projection has ever been read."""
    keys: Keys = await log.keys()
    known = await log.call(
        *(("SISMEMBER", keys.beside(p, READERS), projection) for p in range(keys.partitions))
    )
    if not any(known):
        return False
    await log.call(
        *(("HSET", keys.beside(p, checkpoint(projection)), "re", 1) for p in range(keys.partitions))
    )
    return True
