"""The log on a Redis Cluster: each partition in one slot, the partitions spread over the shards."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import anyio
from redis.asyncio.connection import ConnectionPool

from pipeline.eventlog.event_log import PushSubscription
from pipeline.eventlog.redis.blocking_reads import Ready, Streams
from pipeline.eventlog.redis.cluster.cluster_client import RedisClusterClient
from pipeline.eventlog.redis.cluster.cluster_push_subscription import ClusterPushSubscription
from pipeline.eventlog.redis.cluster.cluster_topology import Node
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.redis_log import CONFIG_KEY, LIBRARIES, SCHEMA, RedisEventLog, good, named
from pipeline.eventlog.redis.server import Command, judge, run_id
from schemas.errors import LogForeign
from schemas.ids import SessionId

SHORTEST_S: Final = 0.005
LONGEST_S: Final = 0.1
"""Pauses grow from the one to the other while nothing is new."""


class PollingWaiter:
    """Asks for all streams of a shard in one pipeline, again and again.

    A blocking read would need a connection for every partition and reader: thousands for a few workers.
    """

    def __init__(self, client: RedisClusterClient, ready: Ready) -> None:
        self._client = client
        self._ready = ready
        self._pause_s = SHORTEST_S

    async def read(self, words: Command, places: Mapping[str, str], wait_s: float) -> Streams:
        await self._ready()
        deadline = time.monotonic() + wait_s
        commands: list[Command] = [(*words, "STREAMS", name, place) for name, place in places.items()]
        while True:
            replies = await self._client.each(*commands)
            _check(replies)
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


def _check(replies: Iterable[Any]) -> None:
    """Raises LogError where a server refuses; one that is away may answer next time."""
    for reply in replies:
        if isinstance(reply, Exception):
            judge(reply)


_MARK: Final = "log"
"""A key of each partition that holds the log's id: a shard that lost its data has lost it too."""


class ClusterEventLog(RedisEventLog):
    """An EventLog on many servers. Sessions of a shard are out of reach while the shard has no primary."""

    def __init__(
        self,
        startup: Sequence[str],
        dial: Callable[[str], ConnectionPool],
        *,
        partitions: int = 64,
        max_session_bytes: int = 0,
        replicas: int = 0,
        grace_s: float = 0.0,
        patience_s: float = 10.0,
    ) -> None:
        self._cluster = RedisClusterClient(startup, dial, patience_s=patience_s)
        super().__init__(
            self._cluster,
            partitions=partitions,
            max_session_bytes=max_session_bytes,
            replicas=replicas,
            grace_s=grace_s,
            patience_s=patience_s,
        )

    def push_subscription(self) -> PushSubscription:
        return ClusterPushSubscription(self._cluster.shards, self._channel)

    def shard_of(self, session: SessionId) -> str:
        return "" if self._keys is None else self._cluster.shard_of(self._keys.meta(session))

    def waiter(self) -> PollingWaiter:
        return PollingWaiter(self._cluster, self._ready)

    @staticmethod
    def together(partitions: Sequence[int]) -> Sequence[Sequence[int]]:
        """Each by itself: they lie in different slots."""
        return [[partition] for partition in partitions]

    @property
    def failovers(self) -> int:
        return self._cluster.shards.failovers

    async def attend(self) -> None:
        await self._cluster.attend()

    async def _ready(self) -> Keys:
        """The key names. `_on_connect` does the work after a lost connection, shard by shard."""
        if self._keys is not None:
            return self._keys
        log_id, partitions, schema, marked = await self._config()
        if int(schema) != SCHEMA:
            raise LogForeign("The log was written by another version of Rhapsode.")
        keys = Keys(int(partitions))
        if marked is None:
            marks = (keys.beside(p, _MARK) for p in range(keys.partitions))
            await self._client.call(*(("SET", mark, log_id, "NX") for mark in marks))
            await self._client.call(("HSET", CONFIG_KEY, "marked", 1))
        if self._keys is None:
            self._log_id, self._keys = log_id, keys
            self._cluster.on_connect = self._on_connect
        return self._keys

    async def _on_connect(self, node: Node) -> None:
        """Has this server our functions, and is what it has of the log still the log?"""
        keys = self._keys
        assert keys is not None
        at, promotions = node.address, node.promotions
        here = [
            p for p in range(keys.partitions) if self._cluster.shards.primary(slot_of(keys.triggers(p))) == at
        ]
        replies = await node.server.once(
            [
                *(("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE") for name in LIBRARIES),
                ("INFO", "server"),
                *(("GET", keys.beside(p, _MARK)) for p in here),
                *(("ZRANGE", keys.work(p), 0, -1) for p in here),
            ]
        )
        lists, (about, *kept) = replies[: len(LIBRARIES)], replies[len(LIBRARIES) :]
        marks, work = kept[: len(here)], kept[len(here) :]
        for reply in marks:
            if not isinstance(reply, Exception) and reply != self._log_id:
                raise LogForeign(f"The log server {at} was replaced by an empty or different one.")
        loading = [
            ("FUNCTION", "LOAD", "REPLACE", code)
            for code, found in zip(LIBRARIES.values(), lists, strict=True)
            if isinstance(found, Exception) or not found or code.encode() not in found[0]
        ]
        if loading:
            _raise(await node.server.once(loading))
        run = run_id(about) or node.run_id  # where it may not be asked, nobody can tell
        if promotions > node.promotions_seen or node.run_id not in (b"", run):
            await self._suspect(named(good(work)), node.server.once)
            self._cluster.shards.failovers += 1
        node.promotions_seen, node.run_id = promotions, run


def _raise(replies: Sequence[Any]) -> None:
    for reply in replies:
        if isinstance(reply, Exception):
            judge(reply)
            raise reply
