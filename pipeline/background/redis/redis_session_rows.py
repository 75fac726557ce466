"""Removes what the log keeps of sessions beside their events: rows in their list, and dead letters."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from typing import Final

from pipeline.background.redis.pointers import LETTERS, checkpoint, letter_of, parking
from pipeline.background.session_directory import ROWS, DirectoryProjection, DirectoryRow, unpacked
from pipeline.background.worker_ports import START
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId

Ends = Mapping[int, tuple[int, int]]
"""By partition: an entry of its stream of pointers."""
_PAGE: Final = 500


class RedisTraces:
    """Removes them for sessions that are deleted. Workers do so as well, when they get there."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def forget(self, sessions: Collection[SessionId]) -> None:
        """Remove the sessions' rows and dead letters.

        No worker writes a row again: what one has made of such a session before now is refused by the new
        epoch, and what is made from now on sees that the session is deleted.
        """
        keys = await self._log.keys()
        partitions = sorted({keys.partition(session) for session in sessions})
        if not partitions:
            return
        names = [keys.beside(p, checkpoint(DirectoryProjection.name)) for p in partitions]
        begun = await self._log.call(*(("EXISTS", name) for name in names))
        fences: list[Command] = [
            ("HINCRBY", name, "ep", 1) for name, there in zip(names, begun, strict=True) if there
        ]
        if fences:
            await self._log.call(*fences)
        await self._drop_rows(keys, sessions)
        await self._drop_letters(keys, set(sessions))

    async def _drop_rows(self, keys: Keys, sessions: Iterable[SessionId]) -> None:
        rows = await self._rows(keys, list(sessions))
        commands: list[Command] = []
        for session, row in rows:
            partition = keys.partition(session)
            commands += [
                (change.command, keys.beside(partition, change.key), *change.arguments)
                for change in row.removed(session)
            ]
        if commands:
            await self._log.call(*commands)

    async def _rows(self, keys: Keys, sessions: Sequence[SessionId]) -> list[tuple[SessionId, DirectoryRow]]:
        found = await self._log.call(
            *(("HGET", keys.beside(keys.partition(session), ROWS), session) for session in sessions)
        )
        return [(s, unpacked(packed)) for s, packed in zip(sessions, found, strict=True) if packed]

    async def _drop_letters(self, keys: Keys, sessions: Collection[SessionId]) -> None:
        """The error of a letter may cite what the session says."""
        for partition in {keys.partition(session) for session in sessions}:
            name, after = keys.beside(partition, LETTERS), "-"
            while True:
                [page] = await self._log.call(("XRANGE", name, after, "+", "COUNT", _PAGE))
                letters = [letter_of(partition, entry) for entry in page]
                for letter in letters:
                    if letter.session in sessions:
                        parked = keys.beside(partition, parking(letter.reader))
                        await self._log.call(("FCALL", "ew3_drop", 2, name, parked, letter.entry))
                if len(page) < _PAGE:
                    break
                after = f"({letters[-1].entry}"

    async def remain(self, sessions: Sequence[SessionId]) -> int:
        """How many of the sessions still have a row."""
        return len(await self._rows(await self._log.keys(), sessions)) if sessions else 0

    async def naming(self, principal: str) -> AsyncGenerator[SessionId, None]:
        """Other people's threads that may have words of this principal, by the list of sessions."""
        keys = await self._log.keys()
        for partition in range(keys.partitions):
            cursor = b"0"
            while True:
                command: Command = ("HSCAN", keys.beside(partition, ROWS), cursor, "COUNT", _PAGE)
                [(cursor, flat)] = await self._log.call(command)
                for name, packed in zip(flat[::2], flat[1::2], strict=True):
                    if unpacked(packed).may_name(principal):
                        yield SessionId(name.decode())
                if cursor == b"0":
                    break

    async def ends(self) -> Ends:
        """Ends of the pointers from which the list of sessions is made."""
        keys = await self._log.keys()
        found = await self._log.call(
            *(("XREVRANGE", keys.triggers(p), "+", "-", "COUNT", 1) for p in range(keys.partitions))
        )
        return {p: _entry(entries[0][0]) for p, entries in enumerate(found) if entries}

    async def reached(self, ends: Ends) -> bool:
        """Whether the list of sessions has everything up to there."""
        if not ends:
            return True
        keys = await self._log.keys()
        name = checkpoint(DirectoryProjection.name)
        places = await self._log.call(*(("HGET", keys.beside(p, name), "id") for p in ends))
        return all(
            _entry(place or START.encode()) >= end for place, end in zip(places, ends.values(), strict=True)
        )


def _entry(name: bytes) -> tuple[int, int]:
    """A stream's entry id, in the order of the stream."""
    millis, _, number = name.partition(b"-")
    return int(millis), int(number)
