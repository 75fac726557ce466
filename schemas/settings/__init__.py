"""All settings as one frozen tree; each part of the system is handed only its branch."""

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from schemas.document_models import ClosedModel
from schemas.languages import LanguageChoice
from schemas.settings.access_settings import AuthSettings
from schemas.settings.limit_settings import GatewaySettings, LimitSettings, StreamingSettings
from schemas.settings.listening_settings import (
    ListeningSettings,
    QualitySpeechToTextSettings,
    SpeechToTextSettings,
)
from schemas.settings.log_settings import LogSettings as LogSettings
from schemas.settings.model_settings import SamplingSettings, ToolSettings, VllmSettings
from schemas.settings.openai_settings import OpenAiSettings
from schemas.settings.placement_settings import PlacementSettings
from schemas.settings.provider_settings import (
    LOCAL,
    ChatProviderSettings,
    ModelName,
    SpeechExtra,
    SpeechProviderSettings,
    check_names,
)
from schemas.settings.retrieval_settings import RetrievalSettings, SearchToolConfig
from schemas.settings.telemetry_settings import LoggingSettings, TelemetrySettings, TracingSettings
from schemas.settings.tool_settings import ToolRegistrySettings
from schemas.settings.voice_settings import LocalVoiceSettings
from schemas.speech_style import (
    PRONUNCIATIONS,
    Emoji,
    PauseSettings,
    PronunciationEntry,
    Style,
    from_origin,
)

ProviderName = Annotated[str, Field(min_length=1, max_length=64)]
SessionName = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
MOST_COLLECTIONS: Final = 16
"""Of one session; they are searched together."""


class SentenceSettings(ClosedModel):
    """Settings that cut generated text for speech. Lengths are characters of the shown text."""

    min_length: int = Field(default=20, ge=1, le=500)
    """A shorter sentence waits and is joined to the next one (the seed's `min_sentence_length`)."""
    first_length: int | None = Field(default=12, ge=4, le=500)
    """The first fragment may end at a clause or a sentence once it is this long ("Once upon a time,"), and
    eight characters later before a word that begins a phrase ("and", "who", "with"); the second one when it
    is twice as long. A `min_length` above its default bounds them. None: only at a sentence end."""
    first_threshold: int | None = Field(default=None, ge=10, le=500)
    """The first fragment may end at any word once it is this long; None: only where a clause or sentence
    ends, but in the answer to a spoken question at 40."""
    threshold: int | None = Field(default=None, ge=10, le=1000)
    """Cut at the next word boundary once this long, sentence end or not; None: never by length."""
    max_length: int = Field(default=300, ge=40, le=2000)
    """Hard limit: a longer run is cut at the best place before it, inside a word if there is none."""


class SessionSettings(ClosedModel):
    """Settings that a user chooses for one session; every change is an event."""

    voice: str = Field(default="joe", min_length=1, max_length=64)
    language: LanguageChoice = "en"
    """A tag of BCP 47, or "auto": of each turn, the language of its question."""
    speech_speed: float = Field(default=1.0, ge=0.25, le=4.0)
    speak: bool = True
    """False: text only, no audio is made."""
    system_prompt: str = Field(
        default="You are a warm storyteller and a helpful assistant. Answer in plain, flowing prose.",
        max_length=8_000,
    )
    max_tokens: int = Field(default=320, ge=1, le=4_096)
    temperature: float = Field(default=0.6, ge=0.0, le=2.0)
    sentences: SentenceSettings = SentenceSettings()
    tts_provider: str | None = Field(default=None, min_length=1, max_length=64)
    """Configured provider that speaks; None: the voice in this server."""
    tts_timeout_s: float | None = Field(default=None, ge=1, le=300)
    """How long a provider may be silent; None: as configured."""
    tts_extra: SpeechExtra = {}
    """Further parameters that are handed to the provider as they are."""
    style: Style | None = None
    """How it is said; None: as the voice speaks by itself. Voices that cannot say so (`sentence.voiced`)."""
    instructions: str = Field(default="", max_length=4_096)
    """The same in a sentence of its own, for voices that follow one."""
    pauses: PauseSettings = PauseSettings()
    emoji: Emoji = "silent"
    """`named`: emoji are said by their names, in the languages that have names for them."""
    pronunciations: tuple[PronunciationEntry, ...] = Field(default=(), max_length=3 * PRONUNCIATIONS)
    """The session's own dictionary, then its user's and the server's; the first entry that fits counts."""
    listening: ListeningSettings = ListeningSettings()
    """How the session listens to speech."""
    llm_provider: str | None = Field(default=None, min_length=1, max_length=64)
    """Configured provider that answers; None: the model in this server."""
    llm_model: ModelName | None = None
    """Which of that provider's models; None: its usual one."""
    sampling: SamplingSettings = SamplingSettings()
    tools: ToolSettings = ToolSettings()
    """Functions that the model may call."""
    collections: tuple[SessionName, ...] = Field(default=(), max_length=MOST_COLLECTIONS)
    """Collections that are searched for passages; empty: none."""
    search: SearchToolConfig = SearchToolConfig()
    """How they are looked up."""
    character: str | None = Field(default=None, max_length=64)
    """Character of the owner's that speaks; None: no character."""
    character_seq: int = Field(default=0, ge=0)
    """The character as it was saved by this event of its owner's own session; a later one is taken over with
    the next question."""


class LanguageModelSettings(VllmSettings, ClosedModel):
    """Which engine writes the answers, and who else may."""

    engine: str = "llama"
    options: dict[str, JsonValue] = {}
    """Settings of an engine from another package, as it describes them."""
    model_path: Path | None = None
    """llama: your own GGUF file; None: the packaged SmolLM2-135M-Instruct, prepared into the cache."""
    threads: int = Field(default=2, ge=1, le=64)
    slots: int = Field(default=8, ge=1, le=256)
    """Requests decoded together (continuous batching)."""
    context_tokens: int = Field(default=2_048, ge=256)
    """Context window of one slot."""
    coalesce_ms: int = Field(default=20, ge=0, le=1_000)
    """The first delta leaves at once, later ones are merged over this long."""
    stall_s: float = Field(default=120.0, gt=0)
    """So long no token may come of any answer at work, and no piece of a prompt be read; then the engine
    counts as stopped, and its replica is replaced."""
    script: Path | None = None
    """Scripted engine only: a JSON file that says what it answers, and when."""
    providers: dict[ProviderName, ChatProviderSettings] = {}
    """Servers elsewhere, by the names that users choose; "local" is the engine above."""
    fallback: tuple[str, ...] = ()
    """Fallback providers, in this order, when the chosen one cannot answer."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        check_names(self.providers, self.fallback)
        return self

    @property
    def adapters(self) -> tuple[str, ...]:
        """Of the engine here; only vLLM has any."""
        return tuple(self.loras) if self.engine == "vllm" else ()

    @property
    def makes_grammars(self) -> bool:
        """Whether the engine here makes unbounded grammars of JSON schemas; vLLM has bounds of its own."""
        return self.engine != "vllm"

    @property
    def window(self) -> int:
        """The tokens of a question with its answer that the engine here takes."""
        return self.max_model_len or self.context_tokens if self.engine == "vllm" else self.context_tokens

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """Answer providers, and the models of each; the one in this server has no name, only its
        adapters have."""
        return {LOCAL: self.adapters} | {name: one.choices for name, one in self.providers.items()}

    @property
    def windows(self) -> dict[str, int]:
        """The tokens that each can be told at once."""
        return {LOCAL: self.window} | {n: one.context_tokens for n, one in self.providers.items()}


class TextToSpeechSettings(LocalVoiceSettings, ClosedModel):
    """Which engine speaks, and who else may."""

    bitrate: int = Field(default=24_000, ge=8_000, le=128_000)
    """Opus bits per second of the audio kept in the log."""
    script: Path | None = None
    providers: dict[ProviderName, SpeechProviderSettings] = {}
    """Servers elsewhere, by the names that users choose; "local" is the engine above."""
    fallback: tuple[str, ...] = ()
    """Fallback providers, in this order, when the chosen one cannot speak a sentence."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        check_names(self.providers, self.fallback)
        return self


class IdleSettings(ClosedModel):
    """After so many idle seconds, with nobody listening, a session is closed; 0: never. A user's never is."""

    session_s: float = Field(default=7 * 86_400, ge=0)
    story_s: float = Field(default=0, ge=0)
    narration_s: float = Field(default=3_600, ge=0)
    thread_s: float = Field(default=0, ge=0)
    completion_s: float = Field(default=3_600, ge=0)


class WorkerSettings(ClosedModel):
    """Settings of background work: effects, projections, and keeping the log tidy."""

    concurrency: int = Field(default=8, ge=1, le=256)
    """Events that one effect works on at a time in one process."""
    claim_idle_s: float = Field(default=30.0, gt=0)
    """A worker that shows no sign of life for so long loses what it was working on to the others."""
    deliveries: int = Field(default=5, ge=1, le=100)
    """Tries of one event; after that it is a dead letter."""
    retry_s: float = Field(default=0.5, ge=0)
    """The pause before the second try; each further one is twice as long."""
    try_s: float = Field(default=900.0, gt=0)
    """A try that takes longer is broken off, and counts; more than any asynchronous function may take."""
    lease_s: float = Field(default=10.0, gt=0)
    """So long after its reader has died, another one goes on with a projection."""
    upkeep_s: float = Field(default=60.0, gt=0)
    """How often abandoned sessions are looked for and old pointers are dropped."""
    consumer_idle_s: float = Field(default=3_600.0, gt=0)
    """Consumers of the past that hold nothing are forgotten after so long."""
    input_audio_days: float | None = Field(default=30.0, gt=0)
    """Older sound that came in is dropped, and what was understood of it stays; None: it is kept as long as
    its session."""
    dead_letter_days: float = Field(default=30.0, gt=0)
    """Older dead letters of effects are dropped."""
    unknown_readers_hold: bool = True
    """May a reader that no worker runs any more keep the log from dropping pointers?"""
    idle: IdleSettings = IdleSettings()


class ArchiveSettings(ClosedModel):
    """Archive of events that are no longer hot."""

    url: str | None = None
    """Any address that fsspec knows, as s3://bucket/folder; None: the folder "archive" under `home`."""
    options: dict[str, JsonValue] = {}
    """Handed to the storage's driver as they are (an endpoint, a profile). Keys are no settings of ours:
    the driver finds them where it always does."""
    segment_facts: int = Field(default=5_000, ge=1)
    """Events in one file; a live session that has so many more than its archive gets its next file."""
    segment_bytes: int = Field(default=32 * 1024 * 1024, ge=1_024)
    """Audio in one file, roughly: a file ends with the first page of events that reaches it."""
    hot_facts: int = Field(default=1_000, ge=0)
    """The latest events of a live session stay in the log as well."""
    hot_bytes: int = Field(default=8 * 1024 * 1024, ge=65_536)
    """No more of them than take about so many bytes, with their sound. A live session that has so many that
    are not archived gets its next file."""
    hot_s: int = Field(default=3_600, ge=0)
    """So long the events of a closed session stay in the log after they are in the archive."""
    idle_archive_s: float = Field(default=3_600, ge=0)
    """A live session in which nothing happened for so long gets a file early ..."""
    idle_facts: int = Field(default=250, ge=1)
    """... if it has so many events that are not archived: archives must not crumble."""
    sweep_s: float = Field(default=60.0, gt=0)
    """How often sessions are looked for that should be in the archive and are not."""


class AppSettings(ClosedModel):
    """The whole tree: the `args` of serve_config.yaml, overridden by RHAPSODE_* variables."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a password may be among it

    profile: Annotated[str, Field(max_length=32)] = "laptop"
    release: Annotated[str, Field(max_length=64)] = ""
    """Name of this version of the deployment; shown beside each gateway. Empty: its version."""
    home: Path = Path("~/.local/state/rhapsode")
    """Run-time state: the embedded log and the pid files."""
    cache: Path = Path("~/.cache/rhapsode")
    """Prepared model weights; safe to delete, made again when missing."""
    session: SessionSettings = SessionSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    text_to_speech: TextToSpeechSettings = TextToSpeechSettings()
    speech_to_text: SpeechToTextSettings = SpeechToTextSettings()
    quality_speech_to_text: QualitySpeechToTextSettings = QualitySpeechToTextSettings()
    log: LogSettings = LogSettings()
    archive: ArchiveSettings = ArchiveSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    tools: ToolRegistrySettings = ToolRegistrySettings()
    limits: LimitSettings = LimitSettings()
    gateway: GatewaySettings = GatewaySettings()
    streaming: StreamingSettings = StreamingSettings()
    auth: AuthSettings = AuthSettings()
    openai: OpenAiSettings = OpenAiSettings()
    workers: WorkerSettings = WorkerSettings()
    tracing: TracingSettings = TracingSettings()
    logging: LoggingSettings = LoggingSettings()
    placement: PlacementSettings = PlacementSettings()

    @field_validator("session")
    @classmethod
    def _its_dictionary_is_the_servers(cls, session: SessionSettings) -> SessionSettings:
        servers = from_origin(session.pronunciations, "server")
        return session.model_copy(update={"pronunciations": servers})

    @property
    def telemetry(self) -> TelemetrySettings:
        return TelemetrySettings(tracing=self.tracing, logging=self.logging)

    @model_validator(mode="after")
    def _sessions_begin_with_providers_that_exist(self) -> Self:
        if len(self.session.pronunciations) > PRONUNCIATIONS:
            raise ValueError(f"session.pronunciations has more than {PRONUNCIATIONS} entries")
        wished = (
            ("llm_provider", self.session.llm_provider, self.language_model.providers.keys()),
            ("tts_provider", self.session.tts_provider, self.text_to_speech.providers.keys()),
            *(("tools.registered", name, self.tools.names) for name in self.session.tools.registered),
        )
        for field, name, known in wished:
            kind = "function" if field == "tools.registered" else "provider"
            if name not in (None, LOCAL, *known):
                raise ValueError(f"session.{field} names {name!r}, which is no {kind}")
        return self

    @model_validator(mode="after")
    def _tries_outlast_asynchronous_functions(self) -> Self:
        """Else a call that times out would be made again, and never be told."""
        tools = self.tools.asynchronous
        calls = [one.timeout_s for one in tools.functions.values()]
        calls += [one.connect_s + one.timeout_s for one in tools.mcp_servers.values()]
        if self.workers.try_s <= max(calls, default=0.0):
            longest = f"{max(calls):g}, the seconds that an asynchronous function may take"
            raise ValueError(f"workers.try_s has to be above {longest}")
        return self
