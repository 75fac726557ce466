"""Effects that misbehave in one chosen way, and sessions full of events for them."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count

import anyio

from pipeline.background.effect_runner import EffectFeed, EffectRunner, SharedReads
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import (
    SESSION_DELETED,
    Change,
    Effect,
    EventDelivery,
    Member,
    Pointer,
    Wish,
)
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.events import TRIGGERS, Event, TextCompleted
from schemas.events.recorded import Recorded
from schemas.ids import SessionId, new_session_id
from schemas.settings import WorkerSettings
from tests.support.eventlog.log_events import batch, creation

COMPLETED = TextCompleted(chars=3, finish="stop")
SCANTY = WorkerSettings(claim_idle_s=0.3, retry_s=0.01, lease_s=0.3, upkeep_s=0.1)
"""Times that a test can wait for."""


@contextmanager
def killed_process(program: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process of `tests.pipeline.background.<program>`, ready; killed with -9 when the block ends."""
    command = [sys.executable, "-m", f"tests.pipeline.background.{program}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


UNHURRIED = SCANTY.model_copy(update={"claim_idle_s": 3.0})
"""Nobody is taken for dead because the machine stood still for a moment."""
_names = count(1)


class Noted:
    """An effect that notes what it was called for, does what `act` does, and changes what `change` says."""

    def __init__(
        self,
        act: Callable[[Pointer], None] | None = None,
        *,
        name: str = "noted",
        types: Sequence[str] = ("text.completed",),
        gate: anyio.Event | None = None,
        change: Change | None = None,
    ) -> None:
        self.name = name
        self.types = frozenset(types)
        self.seen: list[Pointer] = []
        self.done: list[Pointer] = []
        self._act = act
        self._gate = gate
        self._change = change

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        assert (event.seq, event.type) == (pointer.seq, pointer.type)
        self.seen.append(pointer)
        if self._gate is not None:
            await self._gate.wait()
        if self._act is not None:
            self._act(pointer)
        self.done.append(pointer)
        return None if self._change is None else [self._change]


async def session_with(log: RedisEventLog, *events: Event) -> SessionId:
    """A new session; its first event says that it started."""
    session = new_session_id()
    await log.append([creation(session), *([batch(session, 1, *events)] if events else [])])
    return session


async def fetched(group: RedisGroups, member: Member, count: int = 1_000) -> list[EventDelivery]:
    """New pointers of all types and partitions; the group is made if it is missing."""
    wish = Wish(member.group, TRIGGERS | {SESSION_DELETED}, count)
    found = await group.fetch(member.consumer, [wish], range((await group._log.keys()).partitions))
    return list(found.by_group[member.group])


@asynccontextmanager
async def running(
    log: RedisEventLog, *effects: Effect, settings: WorkerSettings = SCANTY
) -> AsyncGenerator[None, None]:
    """One process's consumers of the effects, until the block ends."""
    group = RedisGroups(log)
    name = f"c{next(_names)}"
    runners = [EffectRunner(one, group, SharedReads(log), settings, consumer=name) for one in effects]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EffectFeed(group, runners, consumer=name).run)
        yield
        tasks.cancel_scope.cancel()
    await group.aclose()
