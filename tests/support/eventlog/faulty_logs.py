"""Logs that misbehave in one chosen way, around one that does not."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import anyio

from pipeline.eventlog.event_log import (
    Batch,
    EventLog,
    Head,
    Lease,
    Outcome,
    Push,
    PushSubscription,
    Subscribed,
    Tail,
)
from schemas.errors import LogUnavailable
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from tests.support.eventlog.memory_log import MemoryEventLog


class GatedLog(MemoryEventLog):
    """Each append waits until it is let through, and is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[Batch]] = []
        self.gate = anyio.Event()
        self.gate.set()

    def shut(self) -> None:
        self.gate = anyio.Event()

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        self.sent.append(list(batches))
        await self.gate.wait()
        return await super().append(batches)


class AwayLog(MemoryEventLog):
    """Out of reach while `away`: appends are refused, or done and not answered."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.silent = False
        self.tries = 0

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        self.tries += 1
        if self.away:
            if self.silent:
                await super().append(batches)
            raise LogUnavailable("The log does not answer.")
        return await super().append(batches)


class LossySubscription:
    """Forgets some pushes, by a dice with a seed."""

    def __init__(self, pushes: PushSubscription, loss: float, seed: int) -> None:
        self._pushes = pushes
        self._loss = loss
        self._dice = random.Random(seed)
        self.lost = 0

    async def subscribe(self, session: SessionId) -> None:
        await self._pushes.subscribe(session)

    async def unsubscribe(self, session: SessionId) -> None:
        await self._pushes.unsubscribe(session)

    async def pushes(self) -> AsyncGenerator[Push | Subscribed, None]:
        async with aclosing(self._pushes.pushes()) as words:
            async for word in words:
                if isinstance(word, Push) and self._dice.random() < self._loss:
                    self.lost += 1
                else:
                    yield word

    async def check(self) -> None:
        await self._pushes.check()

    async def aclose(self) -> None:
        await self._pushes.aclose()


class LossyLog:
    """A log whose one push subscription is lossy."""

    def __init__(self, log: EventLog, loss: float, seed: int = 1) -> None:
        self.log = log
        self.lossy_subscription = LossySubscription(log.push_subscription(), loss, seed)
        self.reads = 0
        self.looks = 0
        """Of the heads."""

    def push_subscription(self) -> LossySubscription:
        return self.lossy_subscription

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        return await self.log.append(batches)

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        self.reads += 1
        return await self.log.read(session, after, limit=limit, audio=audio)

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        self.looks += 1
        return await self.log.heads(sessions)

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        return await self.log.tail(session, after)

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        return await self.log.acquire_tail(session, owner, ttl_ms, after)

    @property
    def failovers(self) -> int:
        return self.log.failovers

    async def attend(self) -> None:
        await self.log.attend()

    def shard_of(self, session: SessionId) -> str:
        return self.log.shard_of(session)

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        return await self.log.acquire(session, owner, ttl_ms)

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        return await self.log.renew(leases, ttl_ms)

    async def release(self, session: SessionId, owner: str) -> None:
        await self.log.release(session, owner)

    async def has_work(self) -> bool:
        return await self.log.has_work()

    async def abandoned(self) -> list[SessionId]:
        return await self.log.abandoned()

    async def delete(self, session: SessionId) -> None:
        await self.log.delete(session)

    async def ping(self) -> None:
        await self.log.ping()

    async def aclose(self) -> None:
        await self.log.aclose()
