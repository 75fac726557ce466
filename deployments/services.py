"""Everything that one gateway process holds open, built once and closed in order. Knows no Ray."""

import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deployments.metrics import Metrics
from pipeline.access.allowance import open_allowance
from pipeline.access.door import Door
from pipeline.access.ownership import Ownership
from pipeline.access.shares import Shares
from pipeline.clock import Clock, SystemClock
from pipeline.history import CHARS_PER_TOKEN
from pipeline.log.base import EventLog
from pipeline.log.open import open_hot_log, open_log
from pipeline.log.recorder import Recorder
from pipeline.log.redis_directory import RedisDirectory
from pipeline.log.redis_upkeep import RedisUpkeep
from pipeline.log.tailer import Tailer
from pipeline.log.tiered import TieredLog
from pipeline.narrations import Narrations
from pipeline.owner import OwnerServices
from pipeline.owners import Owners
from pipeline.recording import Recordings
from pipeline.rendering import Renderings
from pipeline.sessions import Sessions
from pipeline.stories import Stories
from pipeline.turn import Models
from pipeline.users import Users
from pipeline.views import SessionViews
from pipeline.workers.directory import Directory
from schemas.settings import AppSettings

Check = Callable[[], Awaitable[None]]
"""Returns if the part works, raises a RhapsodeError if not."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the faces work with."""

    settings: AppSettings
    log: EventLog
    tailer: Tailer
    sessions: Sessions
    users: Users
    narrations: Narrations
    stories: Stories
    renderings: Renderings
    recordings: Recordings
    door: Door
    ownership: Ownership
    shares: Shares
    upkeep: RedisUpkeep
    directory: Directory
    metrics: Metrics
    clock: Clock
    checks: Mapping[str, Check]


@asynccontextmanager
async def open_services(
    settings: AppSettings, models: Models, checks: Mapping[str, Check], *, log: EventLog | None = None
) -> AsyncGenerator[Services, None]:
    """Connect to the log and start the gateway's tasks; all of it ends with the block.

    `models` stay the caller's. A given `log` stays the caller's too; otherwise the settings' one is opened.
    """
    clock = SystemClock()
    door = Door(settings.auth, settings.home, clock)
    opened = log or open_log(settings.log, settings.home, settings.archive)
    allowance = open_allowance(opened, settings.limits)
    hot = opened.hot if isinstance(opened, TieredLog) else open_hot_log(settings.log, settings.home)
    upkeep = RedisUpkeep(hot)
    metrics = Metrics(upkeep)
    try:
        async with (
            Recorder(opened, clock_ms=clock.now_ms) as recorder,
            Tailer(opened) as tailer,
            Owners(
                node=f"{os.getpid()}.{uuid.uuid4().hex[:8]}",
                services=OwnerServices(
                    opened,
                    recorder,
                    tailer,
                    models,
                    clock,
                    settings.limits,
                    history_chars=settings.language_model.context_tokens * CHARS_PER_TOKEN,
                    allowance=allowance,
                ),
            ) as owners,
        ):
            views = SessionViews(opened)
            sessions = Sessions(
                views,
                recorder,
                tailer,
                owners,
                allowance=allowance,
                defaults=settings.session,
                providers=models.speaker.providers,
            )
            users = Users(opened, recorder)
            narrations = Narrations(views, users, recorder, settings.session, allowance)
            yield Services(
                settings=settings,
                log=opened,
                tailer=tailer,
                sessions=sessions,
                users=users,
                narrations=narrations,
                stories=Stories(sessions, narrations, users, tailer),
                renderings=Renderings(opened, views),
                recordings=Recordings(opened),
                door=door,
                ownership=Ownership(opened),
                shares=Shares(views, users, recorder, clock),
                upkeep=upkeep,
                directory=Directory(RedisDirectory(hot)),
                metrics=metrics,
                clock=clock,
                checks={"log": opened.ping, **checks},
            )
    finally:
        metrics.close()
        if log is None:
            await opened.aclose()
