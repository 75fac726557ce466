"""What keeps the log tidy and tells how the workers stand, on Redis."""

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from pipeline.background.consumer_lag import ConsumerLag, ConsumerPresence
from pipeline.background.event_counts import key_of, summed
from pipeline.background.redis.pointers import LETTERS, letter_of, parking
from pipeline.background.redis.redis_consumer_lag import standings
from pipeline.background.redis.redis_projections import ask_for_rebuild
from pipeline.background.worker_ports import Letter
from pipeline.eventlog.redis.outcomes import good
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId

PRESENCES: Final = "ev:workers"
"""A hash of the whole log: worker process -> when it was last seen, and what it runs."""
_PAGE: Final = 500
_LETTER_ID: Final = re.compile(r"(\d{1,4})\.(\d{1,15}-\d{1,15})")


class RedisUpkeep:
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

    async def standings(self) -> list[ConsumerLag]:
        """One for each partition, in order."""
        return await standings(self._log)

    async def counted(self, day: str) -> dict[str, int]:
        """What the stats effect has counted on that day, by type."""
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
        [swept] = await self._log.call(("FCALL", "ew1_sweep", 1, keys.triggers(partition), group, idle_ms))
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
        [done] = await self._log.call(("FCALL", "ew1_retry", 2, *names, letter.entry))
        return bool(done)

    async def drop(self, letter: Letter) -> bool:
        """False: the letter is gone."""
        keys = await self._log.keys()
        names = (
            keys.beside(letter.partition, LETTERS),
            keys.beside(letter.partition, parking(letter.reader)),
        )
        [done] = await self._log.call(("FCALL", "ew1_drop", 2, *names, letter.entry))
        return bool(done)


def _place(name: str) -> tuple[int, str]:
    partition, _, entry = name.partition(".")
    return int(partition), entry
