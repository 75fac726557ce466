"""The same reads on a cluster, where no command may wait for streams of two slots."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import anyio

from pipeline.eventlog.redis.blocking_reads import NO_GROUP, Joins, Ready, Streams
from pipeline.eventlog.redis.cluster.cluster_client import RedisClusterClient
from pipeline.eventlog.redis.server import Command, judge, lacks_group

SHORTEST_S: Final = 0.005
LONGEST_S: Final = 0.1
"""Pauses grow from the one to the other while nothing is new."""


class PollingWaiter:
    """Asks for all streams of a shard in one pipeline, again and again.

    A blocking read would need a connection for every partition and reader: thousands for a few workers.
    """

    def __init__(self, wire: RedisClusterClient, ready: Ready) -> None:
        self._wire = wire
        self._ready = ready
        self._pause_s = SHORTEST_S

    async def read(
        self, words: Command, places: Mapping[str, str], wait_s: float, *, join: Joins = NO_GROUP
    ) -> Streams:
        await self._ready()
        deadline = time.monotonic() + wait_s
        commands: list[Command] = [(*words, "STREAMS", name, place) for name, place in places.items()]
        while True:
            replies = await self._wire.each(*commands)
            lacking = [name for name, reply in zip(places, replies, strict=True) if lacks_group(reply)]
            missing = [join[name] for name in lacking if name in join]
            joined = await self._wire.each(*missing) if missing else []
            _check(reply for reply in replies if not (join and lacks_group(reply)))
            found = [
                (name, entries)
                for reply in replies
                if reply and not isinstance(reply, Exception)
                for name, entries in reply
            ]
            if found:
                self._pause_s = SHORTEST_S
                return found
            _check(joined)  # not before: what was found is ours already
            if time.monotonic() > deadline:
                return []
            await anyio.sleep(self._pause_s)
            self._pause_s = min(LONGEST_S, self._pause_s * 1.5)

    async def aclose(self) -> None:
        """Its connections are the wire's."""


def _check(replies: Iterable[Any]) -> None:
    """Raises LogError where a server refuses; one that is away may answer next time."""
    for reply in replies:
        if isinstance(reply, Exception):
            judge(reply)
