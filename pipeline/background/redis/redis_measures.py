"""Metrics on Redis: totals, process snapshots, and the state of the log server."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.background.event_counts import summed
from pipeline.background.worker_ports import Change, Pointer
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Durability, fields
from pipeline.observability.metric_fold import MEASURED, measured
from pipeline.observability.process_metrics import Snapshot
from pipeline.observability.tally import Tally
from schemas.events.recorded import Recorded

TALLY: Final = "tally"
"""A hash of the partition: field -> number."""


class Measuring:
    """Writes the metrics of a turn with the acknowledgement of its end, so that each turn counts once."""

    name = "measuring"
    types = MEASURED

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change]:
        tally = await measured(self._log, pointer.session, event)
        return [Change("HINCRBY", TALLY, (field, number)) for field, number in tally]


SNAPSHOTS: Final = "ev:processes"
"""A hash of the whole log: process -> its own numbers, as it has told them last."""


_ABOUT: Final = ("INFO", "memory", "stats", "persistence")


@dataclass(frozen=True, slots=True)
class ServerState:
    """The log server in numbers."""

    answer_s: float
    memory_bytes: int
    limit_bytes: int
    commands: int
    live: int
    """Sessions that are not closed."""
    evicts_events: bool
    """`Durability.evicts_events`, of any server."""
    forgets: bool
    """`Durability.forgets`, of any server."""


class RedisMeasures:
    """Short looks and idempotent writes, from any process."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def tally(self) -> Tally:
        """All that the workers have counted."""
        keys = await self._log.keys()
        names = [keys.beside(partition, TALLY) for partition in range(keys.partitions)]
        return Tally(summed(await self._log.call(*(("HGETALL", name) for name in names))))

    async def publish(self, snapshot: Snapshot) -> None:
        """As of now on the log server's clock: processes need not agree about theirs."""
        snapshot = replace(snapshot, seen_ms=await self.now_ms())
        await self._log.call(("HSET", SNAPSHOTS, snapshot.process, snapshot.packed()))

    async def now_ms(self) -> int:
        """On the same clock."""
        return await self._log.now_ms()

    async def forget(self, *processes: str) -> None:
        if processes:
            await self._log.call(("HDEL", SNAPSHOTS, *processes))

    async def snapshots(self) -> list[Snapshot]:
        """Of every process, also of those that were last heard of long ago."""
        [flat] = await self._log.call(("HGETALL", SNAPSHOTS))
        return [Snapshot.unpacked(packed) for packed in flat[1::2]]

    async def warnings(self) -> list[str]:
        """`Durability.warnings` of all servers that take writes, each once."""
        await self._log.keys()
        said = await self._log.client.everywhere(_ABOUT)
        return list(dict.fromkeys(warning for info in said for warning in Durability.read(info).warnings))

    async def server(self) -> ServerState:
        """How it is, and how long it took to say so. Of a cluster: all its servers together."""
        keys = await self._log.keys()
        begun = time.monotonic()
        live = await self._log.call(
            *(("ZCARD", keys.live(partition)) for partition in range(keys.partitions)),
        )
        answer_s = time.monotonic() - begun
        said = await self._log.client.everywhere(_ABOUT)
        about, durable = [fields(info) for info in said], [Durability.read(info) for info in said]
        limits = [int(one.get("maxmemory", 0)) for one in about]
        return ServerState(
            answer_s=answer_s,
            memory_bytes=sum(int(one.get("used_memory", 0)) for one in about),
            limit_bytes=sum(limits) if all(limits) else 0,
            commands=sum(int(one.get("total_commands_processed", 0)) for one in about),
            live=sum(map(int, live)),
            evicts_events=any(one.evicts_events for one in durable),
            forgets=any(one.forgets for one in durable),
        )
