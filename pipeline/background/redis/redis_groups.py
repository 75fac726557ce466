"""Trigger streams as consumer groups, on Redis."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.background.redis.pointers import ERROR_CHARS, LETTERS, packed_changes, pointer_of
from pipeline.background.worker_ports import Change, EventDelivery, Member, Pointer
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog, good
from pipeline.eventlog.redis.server import Command

_BEATS: Final = 200
"""Entries of one call, so that it stays short."""


class RedisGroups:
    """A GroupLog for one consumer: it holds a connection that waits.

    A lost answer to a read or a claim leaves pointers pending with us that we never saw: they are claimed
    once they are idle. Everything else is a server function that may be sent twice. Repeated
    work is done with the servers that answer.
    """

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._waiter = log.waiter()
        self.lost = 0
        """Pointers that were trimmed before they were done with. Stays zero unless somebody else trims."""

    async def join(self, group: str) -> None:
        keys = await self._log.keys()
        await self._log.partly(*_joins(keys, group).values())

    async def fetch(self, member: Member, *, count: int, wait_s: float) -> list[EventDelivery]:
        keys = await self._log.keys()
        joins = _joins(keys, member.group)
        words = ("XREADGROUP", "GROUP", member.group, member.consumer, "COUNT", _share(count, keys))
        found = await self._waiter.read(words, dict.fromkeys(joins, ">"), wait_s, join=joins)
        partition_of = {name.encode(): partition for partition, name in enumerate(joins)}
        return [
            EventDelivery(pointer_of(partition_of[stream], entry))
            for stream, entries in found
            for entry in entries
        ]

    async def claim(self, member: Member, *, idle_s: float, count: int) -> list[EventDelivery]:
        keys = await self._log.keys()
        groups = self._log.together(range(keys.partitions))
        words: Command = (member.group, member.consumer, int(idle_s * 1000), count)
        replies = await self._log.partly(
            *(("FCALL", "ew2_claim", len(some), *map(keys.triggers, some), *words) for some in groups)
        )
        self.lost += sum(lost for _, lost in good(replies))
        return [
            EventDelivery(pointer_of(some[place - 1], (entry, fields)), times)
            for some, reply in zip(groups, replies, strict=True)
            if not isinstance(reply, Exception)
            for entry, fields, times, place in reply[0]
        ]

    async def beat(self, member: Member, pointers: Sequence[Pointer]) -> list[Pointer]:
        keys = await self._log.keys()
        groups = [
            (partition, some[start : start + _BEATS])
            for partition, some in _by_partition(pointers).items()
            for start in range(0, len(some), _BEATS)
        ]
        replies = await self._log.partly(
            *(
                self._fcall("ew2_beat", keys, partition, member, *(pointer.entry for pointer in some))
                for partition, some in groups
            )
        )
        lost = [set() if isinstance(reply, Exception) else {e.decode() for e in reply} for reply in replies]
        return [
            pointer
            for (_, some), gone in zip(groups, lost, strict=True)
            for pointer in some
            if pointer.entry in gone
        ]

    async def again(self, member: Member, pointer: Pointer) -> int:
        keys = await self._log.keys()
        command = self._fcall("ew2_again", keys, pointer.partition, member, pointer.entry)
        [times] = await self._log.call(command)
        return int(times)

    async def skip(self, member: Member, pointers: Sequence[Pointer]) -> None:
        keys = await self._log.keys()
        await self._log.call(
            *(
                ("XACK", keys.triggers(partition), member.group, *(pointer.entry for pointer in some))
                for partition, some in _by_partition(pointers).items()
            )
        )

    async def finish(self, member: Member, pointer: Pointer, changes: Sequence[Change] = ()) -> bool:
        keys = await self._log.keys()
        written, packed = packed_changes(keys, pointer.partition, changes, before=1)
        names = (keys.triggers(pointer.partition), *written)
        [done] = await self._log.call(
            ("FCALL", "ew2_effect", len(names), *names, member.group, member.consumer, pointer.entry, packed)
        )
        return bool(done)

    async def dead_letter(self, member: Member, pointer: Pointer, error: str) -> bool:
        keys = await self._log.keys()
        names = (keys.triggers(pointer.partition), keys.beside(pointer.partition, LETTERS))
        who = (member.group, member.consumer, pointer.entry, error[:ERROR_CHARS])
        [done] = await self._log.call(("FCALL", "ew2_bury", 2, *names, *who))
        return bool(done)

    async def leave(self, member: Member) -> None:
        keys = await self._log.keys()
        await self._log.partly(*(self._fcall("ew2_leave", keys, p, member) for p in range(keys.partitions)))

    async def aclose(self) -> None:
        """The log stays open: it is the caller's."""
        await self._waiter.aclose()

    @staticmethod
    def _fcall(function: str, keys: Keys, partition: int, member: Member, *arguments: str | int) -> Command:
        return ("FCALL", function, 1, keys.triggers(partition), member.group, member.consumer, *arguments)


def _joins(keys: Keys, group: str) -> dict[str, Command]:
    """Commands that make the group in each trigger stream, by stream name, in the order of partitions."""
    return {
        keys.triggers(p): ("FCALL", "ew2_join", 1, keys.triggers(p), group) for p in range(keys.partitions)
    }


def _share(count: int, keys: Keys) -> int:
    """Of each partition, as the server counts."""
    return max(1, count // keys.partitions)


def _by_partition(pointers: Sequence[Pointer]) -> Mapping[int, list[Pointer]]:
    found: dict[int, list[Pointer]] = defaultdict(list)
    for pointer in pointers:
        found[pointer.partition].append(pointer)
    return found
