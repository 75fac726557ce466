"""What the faces of one gateway process work with. Knows no Ray."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from deployments.faces.openai.ephemeral_sessions import EphemeralSessions
from deployments.faces.openai.model_names import Names
from deployments.observability.metrics_page import Metrics
from pipeline.admission.allowance import Allowance
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.admission.upload_limits import Arriving
from pipeline.apps.characters import Characters
from pipeline.apps.collections import Collections
from pipeline.apps.narrations import Narrations
from pipeline.apps.share_links import Shares
from pipeline.apps.stories import Stories
from pipeline.apps.threads import Threads
from pipeline.apps.users import Users
from pipeline.auth.authenticator import Authenticator
from pipeline.auth.client_secrets import ClientSecrets
from pipeline.background.redis.redis_maintenance import RedisUpkeep
from pipeline.background.session_directory import Directory
from pipeline.core.clock import Clock
from pipeline.core.fair_slots import FairPlaces
from pipeline.delivery.recordings import Recordings
from pipeline.delivery.renderings import Renderings
from pipeline.engines.ports import Transcribers
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.tracer import Tracing
from pipeline.rag.librarian_port import RetrievalService
from pipeline.session_state.ownership import Ownership
from pipeline.sessions.gateway_register import Leaving
from pipeline.sessions.session_commands import Sessions
from pipeline.stt.evaluation.session_reruns import Reruns
from pipeline.stt.inputs.audio_inputs import AudioInputs
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
    intakes: AudioInputs
    arriving: Arriving
    importing: FairPlaces
    embedding: FairPlaces
    keeper: EphemeralSessions
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
    allowance: Allowance
    door: Authenticator
    ownership: Ownership
    shares: Shares
    secrets: ClientSecrets
    upkeep: RedisUpkeep
    directory: Directory
    library: RetrievalService
    collections: Collections
    metrics: Metrics
    pressure: EngineBackpressure
    leaving: Leaving
    clock: Clock
    checks: Mapping[str, Check]
    tracing: Tracing | None
