"""Gateway container: opens everything that one gateway process holds, and closes it. Knows no Ray."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio

from deployments.ephemeral_sessions import EphemeralSessions
from deployments.model_names import Names, local_name
from deployments.observability.metrics_page import Metrics, Replicas
from pipeline.admission.allowance import Allowance, open_allowance
from pipeline.admission.engine_backpressure import EngineBackpressure, with_retries
from pipeline.admission.held_sessions import HeldSessions
from pipeline.admission.upload_limits import Arriving
from pipeline.apps.characters import Characters
from pipeline.apps.collection_state import CollectionState
from pipeline.apps.collections import Collections
from pipeline.apps.ingest_jobs import CollectionServices, IngestJobs
from pipeline.apps.narrations import Narrations
from pipeline.apps.phone_calls import PhoneCalls
from pipeline.apps.share_links import Shares
from pipeline.apps.stories import Stories
from pipeline.apps.streams import Streams
from pipeline.apps.threads import Threads
from pipeline.apps.users import Users
from pipeline.auth.authenticator import Authenticator
from pipeline.auth.client_secrets import ClientSecrets
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.background.session_directory import Directory
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.fair_slots import FairPlaces
from pipeline.delivery.listener import Listening, SessionListener
from pipeline.delivery.recordings import Recordings
from pipeline.delivery.renderings import Renderings
from pipeline.delivery.sentence_audio import SentenceEncoder
from pipeline.engines.llm.grammar_check import GrammarChecker
from pipeline.engines.ports import Transcribers
from pipeline.engines.registry import build_text_end_detector, build_turn_detector
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.embedded.disk_sync import forced_to_disk
from pipeline.eventlog.tailer import Tailer
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.observability import metric_names
from pipeline.observability.metric_names import Metric
from pipeline.observability.process_metrics import Gauges, MetricsReporter, ProcessMeter
from pipeline.observability.trace_export import open_tracing
from pipeline.observability.tracer import Tracing
from pipeline.rag.document_library import open_library
from pipeline.rag.retrieval_service import RetrievalService
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.llm_context import CHARS_PER_TOKEN
from pipeline.session_state.session_views import Ownership, SessionViews, Views
from pipeline.sessions.catalog import Catalog
from pipeline.sessions.drain import Drain
from pipeline.sessions.gateway_register import GatewayPresence, Leaving, RedisGateways
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_commands import HeardLedger, Sessions
from pipeline.sessions.session_owner import OwnerServices
from pipeline.stt.evaluation.input_rerun import Reruns
from pipeline.stt.inputs.audio_inputs import AudioInputs
from pipeline.stt.inputs.input_leases import DOCUMENTS, InputLeases
from pipeline.stt.inputs.input_opening import InputServices
from pipeline.stt.interruption import InterruptionHandler
from pipeline.stt.vad import EnergyGate
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.tts import sentence_language
from pipeline.turn.generation import Engines
from schemas.errors import LogError
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from schemas.settings import AppSettings
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.listening_settings import SpeechToTextSettings
from schemas.version import BUILD


def gauges_of(owners: OwnerPool, recorder: Recorder, tailer: Tailer, limits: LimitSettings) -> Gauges:
    def look() -> Mapping[Metric, float]:
        followed, listeners = tailer.audience
        writers, outbox_bytes = recorder.outbox
        return {
            metric_names.OWNED: owners.owned,
            metric_names.RUNNING: owners.running,
            metric_names.ROOM: limits.live_sessions,
            metric_names.FOLLOWED: followed,
            metric_names.LISTENERS: listeners,
            metric_names.OUTBOX: writers,
            metric_names.OUTBOX_BYTES: outbox_bytes,
        }

    return look


Check = Callable[[], Awaitable[str | None]]
"""Returns if the part works, with what is said of it instead of "ok"; raises a RhapsodeError if not."""


@dataclass(frozen=True, slots=True)
class _Resources:
    """Open resources of one gateway process, from which its services are built."""

    settings: AppSettings
    models: Engines
    transcribers: Transcribers
    log: TieredLog
    clock: Clock
    allowance: Allowance
    backpressure: EngineBackpressure
    recorder: Recorder
    tailer: Tailer
    ledger: HeardLedger
    library: RetrievalService
    tracing: Tracing | None
    views: SessionViews

    def for_owners(self) -> OwnerServices:
        return OwnerServices(
            self.log,
            self.recorder,
            self.tailer,
            self.models,
            self.clock,
            self.settings.limits,
            history_chars_of={
                name: tokens * CHARS_PER_TOKEN
                for name, tokens in self.settings.language_model.windows.items()
            },
            allowance=self.allowance,
            tracing=self.tracing,
            backpressure=self.backpressure,
            views=self.views,
        )

    def leaving(self, node: str, owners: OwnerPool, stop_requested: Callable[[], bool]) -> Leaving:
        now = self.clock.now_ms()
        return Leaving(
            GatewayPresence(
                node, socket.gethostname(), os.getpid(), self.settings.release or BUILD, now, now
            ),
            RedisGateways(self.log.hot),
            Drain(self.settings.gateway.leaving),
            owners,
            self.backpressure,
            self.clock,
            stop_requested,
        )

    @property
    def choices(self) -> Catalog:
        return Catalog(
            self.settings.session,
            self.models.speaker.providers,
            self.transcribers.realtime.providers,
            self.settings.language_model.choices,
            (*self.settings.tools.names, *self.settings.gateway.telephone.functions),
            self.settings.tools.reserved,
            grammars=GrammarChecker(self.allowance.schema)
            if self.settings.language_model.makes_grammars
            else None,
        )


class GatewayContainer:
    """Services of one gateway process, as its faces use them, built from its open resources."""

    def __init__(
        self,
        parts: _Resources,
        owners: OwnerPool,
        metrics: Metrics,
        checks: Mapping[str, Check],
        leaving: Leaving,
    ) -> None:
        settings, log, recorder, tailer = parts.settings, parts.log, parts.recorder, parts.tailer
        views, allowance, clock = parts.views, parts.allowance, parts.clock
        self.settings = settings
        self.log: EventLog = log
        self.tailer = tailer
        self.clock = clock
        self.transcribers, self.allowance = parts.transcribers, allowance
        self.library, self.backpressure = parts.library, parts.backpressure
        self.metrics, self.leaving, self.tracing = metrics, leaving, parts.tracing
        self.checks = {"log": log.ping, "retrieval": self.library.check, **checks}
        self.users = users = Users(log, recorder)
        choices = replace(parts.choices, dictionary_of=users.pronunciations)
        self.names = Names(settings, choices)
        self.sessions = sessions = Sessions(
            *(views, recorder, tailer, owners, parts.ledger), allowance=allowance, choices=choices
        )
        self.authenticator = Authenticator(settings.auth, settings.home, clock)
        self.secrets = ClientSecrets(log.hot, self.authenticator.tokens, clock)
        self.ownership = Ownership(log)
        self.shares = Shares(views, users, recorder, clock)
        self.directory = Directory(log.hot)
        self.maintenance = RedisMaintenance(log.hot)
        self.characters = Characters(users, log, recorder, choices)
        self.threads = Threads(sessions, self.characters, recorder, log.hot)
        self.narrations = Narrations(views, users, recorder, settings.session, allowance)
        self.stories = Stories(sessions, self.narrations, users, tailer)
        self.streams = Streams(log, recorder, tailer, allowance, clock)
        self.phone_calls = PhoneCalls(
            *(sessions, recorder, self.authenticator, settings.gateway.telephone, parts.models.functions)
        )
        self.audio_inputs = AudioInputs(_input_services(parts, sessions, owners), settings.limits)
        self.reruns = Reruns(log, self.transcribers, EnergyGate, allowance.heard)
        self.ephemeral = EphemeralSessions(log, sessions, tailer, clock, grace_s=settings.openai.grace_s)
        self.collections = _collections(parts, sessions, self.directory)
        self.renderings = Renderings(log, views)
        self.recordings = Recordings(log, small_bytes=settings.limits.whole_file_bytes)
        self.sentences = SentenceEncoder()
        self.held = HeldSessions(settings.limits)
        self.arriving, self.exporting = Arriving(settings.limits), Arriving(settings.limits)
        self.importing, self.embedding = FairPlaces(1), FairPlaces(1)
        self.erasing, self.forking, self.searching = FairPlaces(1), FairPlaces(2), FairPlaces(1)

    def listener(self) -> SessionListener:
        """A listener for one connection."""
        return SessionListener(self.log, self.tailer, self.clock)

    async def turn_events(
        self, session: SessionId, turn: TurnId, *, after: int = 0, audio: bool = False, follow: bool = True
    ) -> AsyncGenerator[Recorded | None, None]:
        """Events of the session behind `after`, to the end of the turn; None: nothing came for a heartbeat.

        Without `follow` they end where the log does.
        """
        conversation, head = await self.sessions.attend(session)
        params = Listening(
            after=Seq(after),
            turn=turn,
            turn_ended=conversation.turns[turn].ended_at,
            audio=audio,
            follow=follow,
            idle_s=self.settings.limits.heartbeat_s,
        )
        del conversation  # else the stream would keep it in memory
        async with aclosing(self.listener().listen(session, head, params)) as batches:
            async for batch in batches:
                if not batch:
                    yield None
                for recorded in batch:
                    yield recorded

    async def until_over(self, session: SessionId, turn: TurnId) -> Conversation:
        """The session, once the turn has ended, or the session has."""
        async with aclosing(self.turn_events(session, turn, after=turn)) as events:
            async for _ in events:
                pass
        return (await self.sessions.view(session))[0]


def _input_services(parts: _Resources, sessions: Sessions, owners: OwnerPool) -> InputServices:
    log, recorder, clock = parts.log, parts.recorder, parts.clock
    return InputServices(
        log=log,
        sessions=sessions,
        recorder=recorder,
        transcribers=parts.transcribers,
        clock=clock,
        interruption=lambda session: InterruptionHandler(session, sessions, recorder, owners, clock),
        vad=EnergyGate,
        held=InputLeases(log.hot),
        claim=lambda held, who, ms: log.acquire(SessionId(f"{held.session}/{held.input}"), who, ms),
        tracing=parts.tracing,
        heard=parts.allowance.heard,
    )


def _collections(parts: _Resources, sessions: Sessions, directory: Directory) -> Collections:
    settings = parts.settings.retrieval
    services = CollectionServices(parts.library, Views(parts.log, CollectionState), parts.recorder)
    additions = IngestJobs(services, InputLeases(parts.log.hot, DOCUMENTS), parts.clock, settings)
    return Collections(services, sessions, parts.tailer, directory, additions, settings.quotas)


logger = logging.getLogger(__name__)
_ASK_S: Final = 3.0


async def _warn_of_what_loses_events(measures: RedisMeasures) -> None:
    """A log that does not answer now is no reason to wait, nor not to start."""
    with suppress(LogError), anyio.move_on_after(_ASK_S):
        for warning in await measures.warnings():
            logger.warning("%s See docs/redis.md.", warning)


async def _load_languages(cache: Path) -> None:
    await asyncio.to_thread(sentence_language.load, cache)


@asynccontextmanager
async def _hearing_turns(
    transcribers: Transcribers, settings: SpeechToTextSettings, cache: Path
) -> AsyncGenerator[Transcribers, None]:
    """The transcribers with the detectors of the end of a turn that the settings name."""
    turns, texts = build_turn_detector(settings, cache), build_text_end_detector(settings, cache)
    try:
        yield replace(transcribers, turns=turns, texts=texts)
    finally:
        for detector in (turns, texts):
            if detector is not None:
                await detector.aclose()


@asynccontextmanager
async def open_services(
    settings: AppSettings,
    models: Engines,
    transcribers: Transcribers,
    checks: Mapping[str, Check],
    retrieval: RetrievalService | None = None,
    replicas: Replicas | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[GatewayContainer, None]:
    """Connect to the log and start the gateway's tasks; all of it ends with the block.

    `models`, `transcribers` and `retrieval` stay the caller's; without the last, documents are kept
    and searched in this process. `replicas` counts the replicas of each deployment, where that is known.
    `stop_requested` tells that this process should end: then the gateway drains.
    """
    library = retrieval or open_library(settings.retrieval, settings.home)
    clock = SystemClock()
    backpressure = EngineBackpressure(settings.limits.admission, clock)
    log = open_log(settings.log, settings.home, settings.archive)
    node, own = f"{os.getpid()}.{uuid.uuid4().hex[:8]}", local_name(settings.language_model)
    meter = ProcessMeter(f"gateway-{node}", "gateway", home=settings.home)
    metrics = Metrics(RedisMaintenance(log.hot), measures := RedisMeasures(log.hot), meter, replicas)
    allowance = open_allowance(log.hot, settings.limits, settings.log)
    functions = ToolRegistry(settings.tools, allowance.called)
    models = replace(with_retries(models, backpressure), functions=functions, finder=models.finder or library)
    try:
        await asyncio.gather(_warn_of_what_loses_events(measures), _load_languages(settings.cache))
        async with (
            open_tracing(settings.tracing, part="Gateway", instance=node, model=own) as tracing,
            forced_to_disk(settings.log, settings.home),
            Recorder(log, clock.now_ms, settings.log.retain_s, meter.appended, allowance.written) as recorder,
            Tailer(log, delivered=meter.delivered) as tailer,
            HeardLedger(recorder, clock) as ledger,
            functions,
            _hearing_turns(transcribers, settings.speech_to_text, settings.cache) as hearing,
        ):
            outside = (settings, models, hearing, log, clock, allowance, backpressure)
            parts = _Resources(*outside, recorder, tailer, ledger, library, tracing, SessionViews(log))
            async with OwnerPool(node=node, services=parts.for_owners()) as owners:
                leaving = parts.leaving(node, owners, stop_requested)
                services = GatewayContainer(parts, owners, metrics, checks, leaving)
                meter.watch(gauges_of(owners, recorder, tailer, settings.limits))
                kept = services.audio_inputs, services.collections.additions, services.ephemeral, leaving
                async with allowance, MetricsReporter(meter, measures), kept[0], kept[1], kept[2], kept[3]:
                    yield services
    finally:
        if retrieval is None:
            await library.aclose()
        await functions.aclose()
        await log.aclose()
