"""Everything that one gateway process holds open, built once and closed in order. Knows no Ray."""

import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from deployments.metrics import Metrics
from pipeline.access.allowance import Allowance, open_allowance
from pipeline.access.client_secrets import ClientSecrets
from pipeline.access.door import Door
from pipeline.access.ownership import Ownership
from pipeline.access.shares import Shares
from pipeline.answer import Models
from pipeline.characters import Characters
from pipeline.choices import Choices
from pipeline.clock import Clock, SystemClock
from pipeline.documents.additions import Additions, Shelf
from pipeline.documents.collections import Collections
from pipeline.documents.state import CollectionState
from pipeline.engines.base import Transcribers
from pipeline.heard import HeardLedger
from pipeline.hearing.attention import Attention
from pipeline.hearing.intakes import Intakes
from pipeline.hearing.opening import IntakeServices
from pipeline.hearing.reruns import Reruns
from pipeline.hearing.vad import SileroVad
from pipeline.history import CHARS_PER_TOKEN
from pipeline.log.base import EventLog
from pipeline.log.disk import forced_to_disk
from pipeline.log.open import open_log
from pipeline.log.recorder import Recorder
from pipeline.log.redis_directory import RedisDirectory
from pipeline.log.redis_inputs import DOCUMENTS, RedisInputs
from pipeline.log.redis_upkeep import RedisUpkeep
from pipeline.log.tailer import Tailer
from pipeline.log.tiered import TieredLog
from pipeline.narrations import Narrations
from pipeline.openai.keeping import Keeper
from pipeline.openai.names import Names
from pipeline.owner import OwnerServices
from pipeline.owners import Owners
from pipeline.recording import Recordings
from pipeline.rendering import Renderings
from pipeline.retrieval.open import open_library
from pipeline.retrieval.port import Librarian
from pipeline.sessions import Sessions
from pipeline.stories import Stories
from pipeline.threads import Threads
from pipeline.tools.house import FunctionHouse
from pipeline.users import Users
from pipeline.views import SessionViews, Views
from pipeline.workers.directory import Directory
from schemas.ids import SessionId
from schemas.settings import AppSettings

Check = Callable[[], Awaitable[None]]
"""Returns if the part works, raises a RhapsodeError if not."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the faces work with."""

    settings: AppSettings
    log: EventLog
    tailer: Tailer
    transcribers: Transcribers
    intakes: Intakes
    keeper: Keeper
    names: Names
    reruns: Reruns
    sessions: Sessions
    users: Users
    narrations: Narrations
    stories: Stories
    characters: Characters
    threads: Threads
    renderings: Renderings
    recordings: Recordings
    door: Door
    ownership: Ownership
    shares: Shares
    secrets: ClientSecrets
    upkeep: RedisUpkeep
    directory: Directory
    library: Librarian
    collections: Collections
    metrics: Metrics
    clock: Clock
    checks: Mapping[str, Check]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is open, or needs what is."""

    settings: AppSettings
    models: Models
    transcribers: Transcribers
    log: TieredLog
    clock: Clock
    allowance: Allowance
    recorder: Recorder
    tailer: Tailer
    ledger: HeardLedger
    library: Librarian

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
        )

    @property
    def choices(self) -> Choices:
        return Choices(
            self.settings.session,
            self.models.speaker.providers,
            self.transcribers.realtime.providers,
            self.settings.language_model.choices,
            tuple(self.settings.tools.functions),
        )

    def for_faces(self, owners: Owners, metrics: Metrics, checks: Mapping[str, Check]) -> Services:
        settings, log, recorder, tailer = self.settings, self.log, self.recorder, self.tailer
        views = SessionViews(log)
        sessions = Sessions(
            views,
            recorder,
            tailer,
            owners,
            self.ledger,
            allowance=self.allowance,
            choices=self.choices,
        )
        users = Users(log, recorder)
        door = Door(settings.auth, settings.home, self.clock)
        characters = Characters(users, log, recorder, self.choices)
        narrations = Narrations(views, users, recorder, settings.session, self.allowance)
        directory = Directory(RedisDirectory(log.hot))
        return Services(
            settings=settings,
            log=log,
            tailer=tailer,
            transcribers=self.transcribers,
            intakes=Intakes(log, self._hearing(sessions, owners), settings.limits),
            keeper=Keeper(log, sessions, tailer, self.clock, grace_s=settings.openai.grace_s),
            names=Names(settings, self.choices),
            reruns=Reruns(log, self.transcribers, SileroVad),
            sessions=sessions,
            users=users,
            narrations=narrations,
            stories=Stories(sessions, narrations, users, tailer),
            characters=characters,
            threads=Threads(sessions, characters, recorder),
            renderings=Renderings(log, views),
            recordings=Recordings(log),
            door=door,
            ownership=Ownership(log),
            shares=Shares(views, users, recorder, self.clock),
            secrets=ClientSecrets(log.hot, door.tokens),
            upkeep=RedisUpkeep(log.hot),
            directory=directory,
            library=self.library,
            collections=self._collections(sessions, directory),
            metrics=metrics,
            clock=self.clock,
            checks={"log": log.ping, "retrieval": self.library.check, **checks},
        )

    def _hearing(self, sessions: Sessions, owners: Owners) -> IntakeServices:
        log, recorder = self.log, self.recorder
        return IntakeServices(
            sessions=sessions,
            recorder=recorder,
            transcribers=self.transcribers,
            clock=self.clock,
            attention=lambda session: Attention(session, sessions, recorder, owners, self.clock),
            vad=SileroVad,
            held=RedisInputs(log.hot),
            claim=lambda held, who, ms: log.acquire(SessionId(f"{held.session}/{held.input}"), who, ms),
        )

    def _collections(self, sessions: Sessions, directory: Directory) -> Collections:
        settings = self.settings.retrieval
        shelf = Shelf(self.library, Views(self.log, CollectionState), self.recorder)
        additions = Additions(shelf, RedisInputs(self.log.hot, DOCUMENTS), self.clock, settings)
        return Collections(shelf, sessions, self.tailer, directory, additions, settings.quotas)


@asynccontextmanager
async def open_services(
    settings: AppSettings,
    models: Models,
    transcribers: Transcribers,
    checks: Mapping[str, Check],
    librarian: Librarian | None = None,
) -> AsyncGenerator[Services, None]:
    """Connect to the log and start the gateway's tasks; all of it ends with the block.

    `models`, `transcribers` and `librarian` stay the caller's; without a librarian, documents are kept and
    searched in this process.
    """
    library = librarian or open_library(settings.retrieval, settings.home)
    clock = SystemClock()
    functions = FunctionHouse(settings.tools)
    models = replace(models, functions=functions, finder=models.finder or library)
    log = open_log(settings.log, settings.home, settings.archive)
    metrics = Metrics(RedisUpkeep(log.hot))
    allowance = open_allowance(log, settings.limits)
    try:
        async with (
            forced_to_disk(settings.log, settings.home),
            Recorder(log, clock_ms=clock.now_ms) as recorder,
            Tailer(log) as tailer,
            HeardLedger(recorder, clock) as ledger,
        ):
            parts = _Parts(
                settings, models, transcribers, log, clock, allowance, recorder, tailer, ledger, library
            )
            node = f"{os.getpid()}.{uuid.uuid4().hex[:8]}"
            async with Owners(node=node, services=parts.for_owners()) as owners:
                services = parts.for_faces(owners, metrics, checks)
                async with services.intakes, services.collections.additions, services.keeper:
                    yield services
    finally:
        if librarian is None:
            await library.aclose()
        metrics.close()
        await functions.aclose()
        await log.aclose()
