"""Everything that one gateway process holds open, built once and closed in order. Knows no Ray."""

import logging
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import anyio

from deployments.faces.openai.model_names import local_name
from deployments.observability.gateway_gauges import gauges_of
from deployments.observability.metrics_page import Metrics, Replicas
from deployments.parts import GatewayContainer
from deployments.services import Check, Services
from pipeline.admission.allowance import open_allowance
from pipeline.admission.engine_backpressure import EngineBackpressure, patient
from pipeline.background.redis.redis_maintenance import RedisUpkeep
from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.core.clock import SystemClock
from pipeline.engines.ports import Transcribers
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.embedded.disk_sync import forced_to_disk
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.process_metrics import MetricsReporter, ProcessMeter
from pipeline.observability.trace_export import open_tracing
from pipeline.rag.librarian_port import RetrievalService
from pipeline.rag.open_library import open_library
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.heard_ledger import HeardLedger
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.turn.generation import Engines
from schemas.errors import LogError
from schemas.settings import AppSettings

logger = logging.getLogger(__name__)
_ASK_S: Final = 3.0


async def _warn_of_what_loses_events(measures: RedisMeasures) -> None:
    """A log that does not answer now is no reason to wait, nor not to start."""
    with suppress(LogError), anyio.move_on_after(_ASK_S):
        for warning in await measures.warnings():
            logger.warning("%s See docs/redis.md.", warning)


@asynccontextmanager
async def open_services(
    settings: AppSettings,
    models: Engines,
    transcribers: Transcribers,
    checks: Mapping[str, Check],
    librarian: RetrievalService | None = None,
    replicas: Replicas | None = None,
    told_to_go: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[Services, None]:
    """Connect to the log and start the gateway's tasks; all of it ends with the block.

    `models`, `transcribers` and `librarian` stay the caller's; without a librarian, documents are kept and
    searched in this process. `replicas` says how many there are of what, where somebody knows; `told_to_go`
    whether this process should end: then everybody is sent on.
    """
    library = librarian or open_library(settings.retrieval, settings.home)
    clock = SystemClock()
    functions = ToolRegistry(settings.tools)
    pressure = EngineBackpressure(settings.limits.admission, clock)
    models = replace(patient(models, pressure), functions=functions, finder=models.finder or library)
    log = open_log(settings.log, settings.home, settings.archive)
    node, own = f"{os.getpid()}.{uuid.uuid4().hex[:8]}", local_name(settings.language_model)
    meter = ProcessMeter(f"gateway-{node}", "gateway", home=settings.home)
    metrics = Metrics(RedisUpkeep(log.hot), measures := RedisMeasures(log.hot), meter, replicas)
    allowance = open_allowance(log, settings.limits, settings.log)
    try:
        await _warn_of_what_loses_events(measures)
        async with (
            open_tracing(settings.tracing, part="Gateway", instance=node, model=own) as tracing,
            forced_to_disk(settings.log, settings.home),
            Recorder(log, clock.now_ms, settings.log.retain_s, meter.appended, allowance.written) as recorder,
            Tailer(log, delivered=meter.delivered) as tailer,
            HeardLedger(recorder, clock) as ledger,
        ):
            outside = (settings, models, transcribers, log, clock, allowance, pressure)
            parts = GatewayContainer(*outside, recorder, tailer, ledger, library, tracing, SessionViews(log))
            async with OwnerPool(node=node, services=parts.for_owners()) as owners:
                leaving = parts.leaving(node, owners, told_to_go)
                services = parts.for_faces(owners, metrics, checks, leaving)
                meter.watch(gauges_of(owners, recorder, tailer, settings.limits))
                kept = services.intakes, services.collections.additions, services.keeper, leaving
                async with allowance, MetricsReporter(meter, measures), kept[0], kept[1], kept[2], kept[3]:
                    yield services
    finally:
        if librarian is None:
            await library.aclose()
        await functions.aclose()
        await log.aclose()
