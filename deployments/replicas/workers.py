"""The Workers deployment: what follows from events, and what keeps the log tidy, beside the gateways."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from deployments.observability import log_lines
from deployments.rpc.replica_telemetry import replica_name
from pipeline.admission.allowance import Allowance, open_allowance
from pipeline.apps.auto_play import AutoPlay, NarrationBegun, NarrationNotifications
from pipeline.apps.narrations import Narrations
from pipeline.apps.stream_expiry import StreamExpiry
from pipeline.apps.users import Users
from pipeline.background.archive_ended import ArchiveEnded
from pipeline.background.audio_retention import RedisSound, Retention
from pipeline.background.event_counts import Stats
from pipeline.background.maintenance import StreamMaintenance
from pipeline.background.reaper import Reaper
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_measures import Measuring, RedisMeasures
from pipeline.background.session_directory import Directory, DirectoryProjection
from pipeline.background.tool_results import ToolResults
from pipeline.background.worker_tasks import ScheduledTask, Work, Workers
from pipeline.core.clock import SystemClock
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.archive.audio_redaction import AudioRedaction
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.embedded.disk_sync import forced_to_disk
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.observability.process_metrics import MetricsReporter, ProcessMeter
from pipeline.session_state.session_views import Ownership, SessionViews
from pipeline.tools.tool_registry import ToolRegistry
from schemas.errors import LogUnavailable
from schemas.settings import AppSettings

_RETENTION_S: Final = 600.0
"""Days are not counted by the minute."""


def work_of(
    settings: AppSettings, log: TieredLog, recorder: Recorder, functions: ToolRegistry, allowance: Allowance
) -> Work:
    """Lists the effects and projections of the workers. A new effect or projection is one more line here."""
    clock, owners, views = SystemClock(), Ownership(log), SessionViews(log)
    users = Users(log, recorder)
    narrations = Narrations(views, users, recorder, settings.session)
    archiver = Archiver(log.archival, log.archive.store, settings.archive)
    maintenance, directory = RedisMaintenance(log.hot), Directory(log.hot)
    every_s = settings.workers.upkeep_s
    sound = RedisSound(log.hot)
    expiry = StreamExpiry(log, directory, sound.partitions, clock)
    retention = Retention(
        log,
        directory,
        sound,
        AudioRedaction(log.archival, log.archive.store, clock).redact,
        clock,
        days=settings.workers.input_audio_days,
    )
    return Work(
        effects=(
            AutoPlay(owners, narrations, users),
            NarrationBegun(narrations),
            NarrationNotifications(owners, views, narrations, users, recorder),
            ToolResults(views, functions, recorder, clock, allowance.told),
            ArchiveEnded(archiver),
            Stats(),
            Measuring(log),
        ),
        projections=(DirectoryProjection(log, directory),),
        scheduled_tasks=(
            ScheduledTask("archive", settings.archive.sweep_s, archiver.sweep),
            ScheduledTask("retention", max(every_s, _RETENTION_S), retention.sweep),
            ScheduledTask("streams", max(every_s, _RETENTION_S), expiry.sweep),
            ScheduledTask("maintenance", every_s, StreamMaintenance(maintenance, settings.workers).tidy),
            ScheduledTask(
                "reaper",
                every_s,
                Reaper(log, maintenance, directory, settings.workers.idle, clock.now_ms).sweep,
            ),
        ),
    )


@asynccontextmanager
async def open_workers(settings: AppSettings) -> AsyncGenerator[Workers, None]:
    """One process's share of the work, to be `run`; its log closes with the block."""
    log = open_log(settings.log, settings.home, settings.archive)
    try:
        name = f"{os.getpid()}.{uuid.uuid4().hex[:8]}"
        meter = ProcessMeter(f"worker-{name}", "worker", home=settings.home)
        async with (
            forced_to_disk(settings.log, settings.home),
            Recorder(log, retain_s=settings.log.retain_s, appended=meter.appended) as recorder,
            MetricsReporter(meter, RedisMeasures(log.hot)),
            ToolRegistry(settings.tools.asynchronous) as functions,
            open_allowance(log.hot, settings.limits) as allowance,
        ):
            work = work_of(settings, log, recorder, functions, allowance)
            yield Workers(log.hot, log, work, settings.workers, name=name)
    finally:
        await log.aclose()


async def run_workers(settings: AppSettings) -> None:
    """Until cancelled. Raises when going on makes no sense: the process should be replaced."""
    async with open_workers(settings) as workers:
        await workers.run()


class WorkersReplica:
    """One worker process. Several share the work; one that dies is followed by the others."""

    async def __init__(self, settings: AppSettings) -> None:  # type: ignore[misc]
        log_lines.install(settings.logging, replica_name("Workers"))
        self._running = asyncio.create_task(run_workers(settings), name="workers")

    async def check_health(self) -> None:
        """Called by Serve: a replica whose work has ended is replaced."""
        if self._running.done():
            cause = None if self._running.cancelled() else self._running.exception()
            raise LogUnavailable("The workers have stopped.") from cause

    async def __del__(self) -> None:
        """Called by Serve when the replica should go: what it holds is handed back."""
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
