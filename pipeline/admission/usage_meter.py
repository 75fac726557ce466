"""Counts what is used per time, by one server function for all replicas."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command

_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """So much of what may be used `limit` times per period."""

    bucket: str
    amount: int
    limit: int
    period_s: int

    @property
    def burst_us(self) -> int:
        return self.period_s * _US

    @property
    def us(self) -> int:
        """Cost in microseconds until the allowance is refilled; at most the whole allowance."""
        return min(self.burst_us, self.amount * self.burst_us // self.limit)

    @property
    def debt_us(self) -> int:
        """As `us`, for what was used already."""
        return self.amount * self.burst_us // self.limit


@dataclass(frozen=True, slots=True)
class Shortage:
    """The cost that exceeds its allowance, and the seconds until it fits."""

    cost: Cost
    wait_s: float


class UsageMeter:
    """On the log's server, so that all replicas count together."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def take(self, who: str, costs: Sequence[Cost]) -> Shortage | None:
        """Take all of it, or nothing and say what is short."""
        which, wait_us = await self._call(who, costs, [cost.us for cost in costs], anyway="")
        return Shortage(costs[which - 1], wait_us / _US) if which else None

    async def owe(self, who: str, cost: Cost) -> None:
        """It was used; what is not there is a debt, and must come back before anything can be taken."""
        await self._call(who, [cost], [cost.debt_us], anyway="1")

    async def _call(
        self, who: str, costs: Sequence[Cost], taken_us: Sequence[int], *, anyway: str
    ) -> tuple[int, int]:
        keys = await self._log.keys()
        partition = crc32(who.encode()) % keys.partitions
        name = hashlib.blake2b(who.encode(), digest_size=12).hexdigest()
        buckets = [keys.beside(partition, f"limit3:{name}:{cost.bucket}") for cost in costs]
        amounts = [number for cost, us in zip(costs, taken_us, strict=True) for number in (us, cost.burst_us)]
        command: Command = ("FCALL", "limit3_take", len(buckets), *buckets, anyway, *amounts)
        [[which, wait_us]] = await self._log.call(command)
        return which, wait_us
