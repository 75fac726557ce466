"""The same reads on a cluster, where no command may wait for streams of two slots."""

import time
from collections.abc import Mapping
from typing import Final

import anyio

from pipeline.log.cluster_wire import ClusterWire
from pipeline.log.server import Command, judge
from pipeline.log.waiting import Ready, Streams

SHORTEST_S: Final = 0.005
LONGEST_S: Final = 0.1
"""Pauses grow from the one to the other while nothing is new."""


class PollingWaiter:
    """Asks for all streams of a shard in one pipeline, again and again.

    A blocking read would need a connection for every partition and reader: thousands for a few workers.
    """

    def __init__(self, wire: ClusterWire, ready: Ready) -> None:
        self._wire = wire
        self._ready = ready
        self._pause_s = SHORTEST_S

    async def read(self, words: Command, places: Mapping[str, str], wait_s: float) -> Streams:
        await self._ready()
        deadline = time.monotonic() + wait_s
        commands: list[Command] = [(*words, "STREAMS", name, place) for name, place in places.items()]
        while True:
            replies = await self._wire.each(*commands)
            for reply in replies:
                if isinstance(reply, Exception):
                    judge(reply)
            found = [
                (name, entries)
                for reply in replies
                if reply and not isinstance(reply, Exception)
                for name, entries in reply
            ]
            if found:
                self._pause_s = SHORTEST_S
                return found
            if time.monotonic() > deadline:
                return []
            await anyio.sleep(self._pause_s)
            self._pause_s = min(LONGEST_S, self._pause_s * 1.5)

    async def aclose(self) -> None:
        """Its connections are the wire's."""
