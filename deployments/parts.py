"""From what one gateway process holds open to what its faces and its owners work with."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployments.faces.openai.ephemeral_sessions import EphemeralSessions
from deployments.faces.openai.model_names import Names
from deployments.observability.metrics_page import Metrics
from deployments.services import Check, Services
from pipeline.admission.allowance import Allowance
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.admission.upload_limits import Arriving
from pipeline.apps.characters import Characters
from pipeline.apps.collection_state import CollectionState
from pipeline.apps.collections import Collections
from pipeline.apps.ingest_jobs import CollectionServices, IngestJobs
from pipeline.apps.narrations import Narrations
from pipeline.apps.share_links import Shares
from pipeline.apps.stories import Stories
from pipeline.apps.threads import Threads
from pipeline.apps.users import Users
from pipeline.auth.authenticator import Authenticator
from pipeline.auth.client_secrets import ClientSecrets
from pipeline.background.redis.redis_directory import RedisDirectory
from pipeline.background.redis.redis_maintenance import RedisUpkeep
from pipeline.background.session_directory import Directory
from pipeline.core.clock import Clock
from pipeline.core.fair_slots import FairPlaces
from pipeline.delivery.recordings import Recordings
from pipeline.delivery.renderings import Renderings
from pipeline.engines.ports import Transcribers
from pipeline.eventlog.archive.tiered_log import TieredLog
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.tracer import Tracing
from pipeline.rag.librarian_port import RetrievalService
from pipeline.session_state.ownership import Ownership
from pipeline.session_state.session_views import SessionViews, Views
from pipeline.session_state.turn_history import CHARS_PER_TOKEN
from pipeline.sessions.catalog import Catalog
from pipeline.sessions.drain import Drain
from pipeline.sessions.gateway_register import GatewayPresence, Leaving
from pipeline.sessions.heard_ledger import HeardLedger
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.redis_gateways import RedisGateways
from pipeline.sessions.session_commands import Sessions
from pipeline.sessions.session_owner import OwnerServices
from pipeline.stt.evaluation.session_reruns import Reruns
from pipeline.stt.inputs.audio_inputs import AudioInputs
from pipeline.stt.inputs.input_opening import IntakeServices
from pipeline.stt.inputs.redis_inputs import DOCUMENTS, RedisInputs
from pipeline.stt.interruption import InterruptionHandler
from pipeline.stt.vad import SileroVad
from pipeline.turn.generation import Engines
from schemas.ids import SessionId
from schemas.settings import AppSettings
from schemas.version import BUILD


@dataclass(frozen=True, slots=True)
class GatewayContainer:
    """What is open, or needs what is."""

    settings: AppSettings
    models: Engines
    transcribers: Transcribers
    log: TieredLog
    clock: Clock
    allowance: Allowance
    pressure: EngineBackpressure
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
            pressure=self.pressure,
            views=self.views,
        )

    def leaving(self, node: str, owners: OwnerPool, told_to_go: Callable[[], bool]) -> Leaving:
        now = self.clock.now_ms()
        return Leaving(
            GatewayPresence(
                node, socket.gethostname(), os.getpid(), self.settings.release or BUILD, now, now
            ),
            RedisGateways(self.log.hot),
            Drain(self.settings.gateway.leaving),
            owners,
            self.pressure,
            self.clock,
            told_to_go,
        )

    @property
    def choices(self) -> Catalog:
        return Catalog(
            self.settings.session,
            self.models.speaker.providers,
            self.transcribers.realtime.providers,
            self.settings.language_model.choices,
            tuple(self.settings.tools.functions),
            schemas_bounded=self.settings.language_model.makes_grammars,
        )

    def for_faces(
        self, owners: OwnerPool, metrics: Metrics, checks: Mapping[str, Check], leaving: Leaving
    ) -> Services:
        settings, log, recorder, tailer = self.settings, self.log, self.recorder, self.tailer
        views, allowance, choices = self.views, self.allowance, self.choices
        sessions = Sessions(
            views, recorder, tailer, owners, self.ledger, allowance=allowance, choices=choices
        )
        users = Users(log, recorder)
        door = Authenticator(settings.auth, settings.home, self.clock)
        characters = Characters(users, log, recorder, choices)
        narrations = Narrations(views, users, recorder, settings.session, allowance)
        directory = Directory(RedisDirectory(log.hot))
        return Services(
            settings=settings,
            log=log,
            tailer=tailer,
            transcribers=self.transcribers,
            intakes=AudioInputs(log, self._hearing(sessions, owners), settings.limits),
            arriving=Arriving(settings.limits),
            importing=FairPlaces(1),
            embedding=FairPlaces(1),
            keeper=EphemeralSessions(log, sessions, tailer, self.clock, grace_s=settings.openai.grace_s),
            names=Names(settings, choices),
            reruns=Reruns(log, self.transcribers, SileroVad, allowance.heard),
            sessions=sessions,
            users=users,
            narrations=narrations,
            stories=Stories(sessions, narrations, users, tailer),
            characters=characters,
            threads=Threads(sessions, characters, recorder),
            renderings=Renderings(log, views),
            recordings=Recordings(log, small_bytes=settings.limits.whole_file_bytes),
            allowance=allowance,
            door=door,
            ownership=Ownership(log),
            shares=Shares(views, users, recorder, self.clock),
            secrets=ClientSecrets(log.hot, door.tokens),
            upkeep=RedisUpkeep(log.hot),
            directory=directory,
            library=self.library,
            collections=self._collections(sessions, directory),
            metrics=metrics,
            pressure=self.pressure,
            leaving=leaving,
            clock=self.clock,
            checks={"log": log.ping, "retrieval": self.library.check, **checks},
            tracing=self.tracing,
        )

    def _hearing(self, sessions: Sessions, owners: OwnerPool) -> IntakeServices:
        log, recorder = self.log, self.recorder
        return IntakeServices(
            sessions=sessions,
            recorder=recorder,
            transcribers=self.transcribers,
            clock=self.clock,
            attention=lambda session: InterruptionHandler(session, sessions, recorder, owners, self.clock),
            vad=SileroVad,
            held=RedisInputs(log.hot),
            claim=lambda held, who, ms: log.acquire(SessionId(f"{held.session}/{held.input}"), who, ms),
            tracing=self.tracing,
            heard=self.allowance.heard,
        )

    def _collections(self, sessions: Sessions, directory: Directory) -> Collections:
        settings = self.settings.retrieval
        shelf = CollectionServices(self.library, Views(self.log, CollectionState), self.recorder)
        additions = IngestJobs(shelf, RedisInputs(self.log.hot, DOCUMENTS), self.clock, settings)
        return Collections(shelf, sessions, self.tailer, directory, additions, settings.quotas)
