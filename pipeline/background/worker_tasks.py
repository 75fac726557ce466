"""All the work of one worker process, under one parent."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from pipeline.background.consumer_lag import ConsumerPresence
from pipeline.background.effect_runner import EffectFeed, EffectRunner, SharedReads
from pipeline.background.projection_reader import ProjectionReader
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.worker_ports import Effect, Projection
from pipeline.core.clock import coalesced_sleep
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors import LogError, LogForeign
from schemas.settings import WorkerSettings

PRESENCE_S: Final = 5.0
RETIRE_S: Final = 0.5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """Something to be done every so often. Doing it in several processes at once must be harmless."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Work:
    """The tasks of a worker process."""

    effects: Sequence[Effect] = ()
    projections: Sequence[Projection] = ()
    scheduled_tasks: Sequence[ScheduledTask] = ()


class Workers:
    """One process's share of the work: it takes what others leave."""

    def __init__(
        self, hot: RedisEventLog, log: EventLog, work: Work, settings: WorkerSettings, *, name: str
    ) -> None:
        """`log` is what events are read from: `hot`, or that with its archive behind it."""
        self._hot = hot
        self._reads = SharedReads(log)
        self._work = work
        self._settings = settings
        self._name = name

    async def run(self) -> None:
        """For ever. Raises LogForeign when the log was replaced by another one."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._run_effects)
                for projection in self._work.projections:
                    tasks.start_soon(self._run_projection, projection)
                for task in (
                    ScheduledTask("presence", PRESENCE_S, self._announce),
                    *self._work.scheduled_tasks,
                ):
                    tasks.start_soon(self._run_task, task)
        finally:
            with anyio.move_on_after(RETIRE_S, shield=True):
                await self._retire()

    async def _retire(self) -> None:
        try:
            await RedisMaintenance(self._hot).retire([self._name])
        except LogError as error:
            _logger.info("could not retire: %s", error)

    async def _run_effects(self) -> None:
        log, name = RedisGroups(self._hot), self._name
        runners = [
            EffectRunner(effect, log, self._reads, self._settings, consumer=name)
            for effect in self._work.effects
        ]
        try:
            await EffectFeed(log, runners, consumer=name).run()
        finally:
            await log.aclose()

    async def _run_projection(self, projection: Projection) -> None:
        port = RedisProjections(self._hot)
        try:
            await ProjectionReader(projection, port, self._settings, reader=self._name).run()
        finally:
            await port.aclose()

    async def _run_task(self, task: ScheduledTask) -> None:
        """One that fails is done again when it is its time."""
        while True:
            try:
                await task.do()
            except LogForeign:
                raise
            except LogError as error:
                _logger.warning("%s: %s", task.name, error)
            except Exception:
                _logger.exception("%s failed", task.name)
            await coalesced_sleep(task.every_s)

    async def _announce(self) -> None:
        maintenance = RedisMaintenance(self._hot)
        await maintenance.announce(
            ConsumerPresence(
                self._name,
                await maintenance.now_ms(),
                tuple(effect.name for effect in self._work.effects),
                tuple(projection.name for projection in self._work.projections),
            )
        )
