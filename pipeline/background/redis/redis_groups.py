"""Trigger streams as consumer groups, on Redis."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.background.redis.pointers import ERROR_CHARS, LETTERS, pack, packed_changes, pointer_of
from pipeline.background.worker_ports import START, Change, EventDelivery, Fetched, Member, Pointer, Wish
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog, good
from pipeline.eventlog.redis.server import Command

_BEATS: Final = 200
"""Entries of one call, so that it stays short."""
_NEWS: Final = 100
"""Pointers of a partition that one answer to `news` may pass."""


class RedisGroups:
    """Of one process: each pointer goes to one consumer until it is done with. Holds a connection that waits.

    Methods raise LogUnavailable when the server stays out of reach. A lost answer to a read or a claim
    leaves pointers pending with us that we never saw: they are claimed once they are idle. Everything else is
    a server function that may be sent twice. Repeated work is done with the servers that answer.
    """

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._waiter = log.waiter()
        self._places: dict[str, str] = {}
        """By trigger stream: the pointer up to which `news` has told; none where `fetch` got no answer."""
        self.lost = 0
        """Pointers that were trimmed before they were done with. Stays zero unless somebody else trims."""

    async def news(self, wait_s: float) -> set[int]:
        """Partitions with pointers that `fetch` has not been asked for; after `wait_s` without any, all.

        The first call returns at once.
        """
        keys = await self._log.keys()
        partition_of = {keys.triggers(p): p for p in range(keys.partitions)}
        if missing := [name for name in partition_of if name not in self._places]:
            ask = self._log.client.each if self._places else self._log.partly
            ends = await ask(*(("XREVRANGE", name, "+", "-", "COUNT", 1) for name in missing))
            told = {n: end for n, end in zip(missing, ends, strict=True) if not isinstance(end, Exception)}
            self._places |= {name: end[0][0].decode() if end else START for name, end in told.items()}
            if told:
                return {partition_of[name] for name in told}
        found = await self._waiter.read(("XREAD", "COUNT", _NEWS), self._places, wait_s)
        self._places |= {name.decode(): entries[-1][0].decode() for name, entries in found}
        return {partition_of[name.decode()] for name, _ in found} or {partition_of[n] for n in self._places}

    async def fetch(self, consumer: str, wishes: Sequence[Wish], partitions: Iterable[int]) -> Fetched:
        """New pointers of these partitions: about as many as wished for, at least one of each partition.

        Pointers of other types, or for another group alone, are done with. A group that is missing is made
        and begins with the oldest pointer.
        """
        keys = await self._log.keys()
        wanted = pack([[wish.group, wish.count, list(wish.types)] for wish in wishes])
        groups = self._log.together(sorted(partitions))
        words: Command = (consumer, wanted)
        replies = await self._log.partly(
            *(("FCALL", "ew3_fetch", len(some), *map(keys.triggers, some), *words) for some in groups)
        )
        by_group: dict[str, list[EventDelivery]] = {wish.group: [] for wish in wishes}
        behind: set[int] = set()
        for some, reply in zip(groups, replies, strict=True):
            if isinstance(reply, Exception):
                for partition in some:
                    self._places.pop(keys.triggers(partition), None)
                continue
            for wish, (more, entries) in zip(wishes, reply, strict=True):
                behind |= set(some) if more else set()
                by_group[wish.group] += [
                    EventDelivery(pointer_of(some[place - 1], (entry, fields)))
                    for entry, fields, place in entries
                ]
        return Fetched(by_group, frozenset(behind))

    async def claim(self, member: Member, *, idle_s: float, count: int) -> list[EventDelivery]:
        """Take over, at most `count` in each partition, what nobody has shown life about for `idle_s`."""
        keys = await self._log.keys()
        groups = self._log.together(range(keys.partitions))
        words: Command = (member.group, member.consumer, int(idle_s * 1000), count)
        replies = await self._log.partly(
            *(("FCALL", "ew3_claim", len(some), *map(keys.triggers, some), *words) for some in groups)
        )
        self.lost += sum(lost for _, lost in good(replies))
        return [
            EventDelivery(pointer_of(some[place - 1], (entry, fields)), times)
            for some, reply in zip(groups, replies, strict=True)
            if not isinstance(reply, Exception)
            for entry, fields, times, place in reply[0]
        ]

    async def beat(self, member: Member, pointers: Sequence[Pointer]) -> list[Pointer]:
        """Show life about these; returns those that are somebody else's by now."""
        keys = await self._log.keys()
        groups = [
            (partition, some[start : start + _BEATS])
            for partition, some in _by_partition(pointers).items()
            for start in range(0, len(some), _BEATS)
        ]
        replies = await self._log.partly(
            *(
                self._fcall("ew3_beat", keys, partition, member, *(pointer.entry for pointer in some))
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
        """Count one more delivery; 0: the pointer is somebody else's by now."""
        keys = await self._log.keys()
        command = self._fcall("ew3_again", keys, pointer.partition, member, pointer.entry)
        [times] = await self._log.call(command)
        return int(times)

    async def finish(self, member: Member, pointer: Pointer, changes: Sequence[Change] = ()) -> bool:
        """Write and acknowledge in one step; False: somebody else's by now, and nothing was written."""
        keys = await self._log.keys()
        written, packed = packed_changes(keys, pointer.partition, changes, before=1)
        names = (keys.triggers(pointer.partition), *written)
        [done] = await self._log.call(
            ("FCALL", "ew3_effect", len(names), *names, member.group, member.consumer, pointer.entry, packed)
        )
        return bool(done)

    async def dead_letter(self, member: Member, pointer: Pointer, error: str) -> bool:
        """Make it a dead letter; False as above."""
        keys = await self._log.keys()
        names = (keys.triggers(pointer.partition), keys.beside(pointer.partition, LETTERS))
        who = (member.group, member.consumer, pointer.entry, error[:ERROR_CHARS])
        [done] = await self._log.call(("FCALL", "ew3_bury", 2, *names, *who))
        return bool(done)

    async def leave(self, member: Member) -> None:
        """Hand everything back at once, as if it had not been delivered."""
        keys = await self._log.keys()
        await self._log.partly(*(self._fcall("ew3_leave", keys, p, member) for p in range(keys.partitions)))

    async def aclose(self) -> None:
        """The log stays open: it is the caller's."""
        await self._waiter.aclose()

    @staticmethod
    def _fcall(function: str, keys: Keys, partition: int, member: Member, *arguments: str | int) -> Command:
        return ("FCALL", function, 1, keys.triggers(partition), member.group, member.consumer, *arguments)


def _by_partition(pointers: Sequence[Pointer]) -> Mapping[int, list[Pointer]]:
    found: dict[int, list[Pointer]] = defaultdict(list)
    for pointer in pointers:
        found[pointer.partition].append(pointer)
    return found
