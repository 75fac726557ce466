"""How a session listens: which way of writing speech down, when an utterance ends, and who may interrupt."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, SecretStr

from schemas.document_models import ClosedModel
from schemas.languages import LanguageChoice
from schemas.settings.provider_settings import ServerElsewhere

Mode = Literal["realtime", "quality", "legacy"]
"""Which way speech is written down, and answered.

`realtime`: short windows while somebody speaks, so that little is left to do at the end. `quality`: the whole
utterance at once, by the slower and better engine. `legacy`: as `quality`, and the answer is not heard before
all of its text and all of its sound are there: kept to measure what the others gain.
"""

TurnDetection = Literal["vad", "manual"]


class EndpointingSettings(ClosedModel):
    """When an utterance begins and ends. Every time is audio time: of the sound, not of the clock."""

    threshold: float = Field(default=0.5, ge=0.05, le=0.95)
    """A frame is voiced from this probability of speech on."""
    min_speech_ms: int = Field(default=100, ge=32, le=2_000)
    """Less voiced sound than this is no speech."""
    silence_ms: int = Field(default=500, ge=100, le=5_000)
    """So much silence ends the utterance."""
    prefix_padding_ms: int = Field(default=300, ge=0, le=2_000)
    """So much of what came before the first voiced frame belongs to the utterance."""
    max_utterance_s: float = Field(default=25.0, ge=2.0, le=29.0)
    """A longer utterance is cut at its quietest place and goes on as the next; nobody answers in between."""
    speculate_ms: int | None = Field(default=96, ge=64, le=5_000)
    """After so much silence the text is made, as if this were the end; None: only at the end."""
    speculate_elsewhere_ms: int | None = Field(default=192, ge=64, le=5_000)
    """The same where a provider writes down: later, as each time is a request of all that was said so far."""
    hint: bool = True
    """May what was said so far, its text and its sound, shorten or lengthen the wait?"""
    complete_ms: int = Field(default=300, ge=100, le=5_000)
    """The silence that ends an utterance that reads as complete and sounds so, if that is shorter."""
    doubtful_ms: int = Field(default=900, ge=100, le=10_000)
    """The silence that ends one that sounds unfinished while its text does not say, if that is longer."""
    incomplete_ms: int = Field(default=900, ge=100, le=10_000)
    """The silence that ends one whose text breaks off, as after "and" or a comma, if that is longer."""


class ListeningSettings(ClosedModel):
    """Settings of a session's audio inputs."""

    mode: Mode = "realtime"
    compare: bool = False
    """Write every utterance down in both ways, and record how they differ."""
    turn_detection: TurnDetection = "vad"
    """`manual`: an utterance ends when the client commits it (push to talk)."""
    endpointing: EndpointingSettings = EndpointingSettings()
    partials_ms: int = Field(default=500, ge=0, le=5_000)
    """In the realtime way, what is said is written down anew after so much audio; 0: only at the end."""
    language: LanguageChoice | None = None
    """The language that is spoken to us; None: the session's; "auto": found out for each utterance."""
    provider: str | None = Field(default=None, min_length=1, max_length=64)
    """Configured provider that transcribes in realtime; None: this server."""
    prompt: str = Field(default="", max_length=2_000)
    """Names and words that are likely to be said, for engines that take such a hint."""
    translate: bool = False
    """Write down in English, whatever is spoken: the quality way by Whisper can, nothing else does."""
    reply: bool = True
    """False: what is said is only written down."""
    barge_in: bool = True
    """May the user interrupt the answer by speaking?"""
    hold_ms: int = Field(default=100, ge=32, le=2_000)
    """So much speech over an answer, and it is held."""
    interrupt_ms: int = Field(default=600, ge=32, le=5_000)
    """So much speech over an answer, and it is stopped; less than that is a word of agreement or a noise."""
    distant_db: float | None = Field(default=6.0, ge=3, le=40)
    """Speech over an answer that stays so much below the level at which this input asks usually is distant,
    as a television is: it neither holds nor stops the answer. None: every voice does."""
    record: bool = True
    """Keep the sound that came in, as events."""

    @property
    def ends(self) -> EndpointingSettings:
        """`endpointing`, as it holds for who writes down."""
        if self.provider is None:
            return self.endpointing
        speculate_ms = self.endpointing.speculate_elsewhere_ms
        return self.endpointing.model_copy(update={"speculate_ms": speculate_ms})


class TranscriptionProviderSettings(ServerElsewhere):
    """A server elsewhere that speaks the OpenAI transcription API."""

    model: str = Field(default="whisper-1", min_length=1, max_length=128)
    stream: bool = True
    """Ask for the text while it is being made."""
    timeout_s: float = Field(default=10.0, ge=0.5, le=300)
    """How long it may be silent."""


class SpeechToTextSettings(ClosedModel):
    """The realtime way: which engine writes short windows down, and who else may."""

    engine: str = "whisper"
    """`whisper`; `moonshine`: Moonshine by sherpa-onnx where English is named, and the packaged Whisper for
    everything else; `scripted`."""
    options: dict[str, JsonValue] = {}
    """Settings of an engine from another package, as it describes them."""
    model_path: Path | None = None
    """Your own model, a folder: of Whisper for CTranslate2, or of Moonshine; None: the packaged multilingual
    "base" of Whisper."""
    partial_model_path: Path | None = None
    """For what is said so far; None: the packaged "tiny.en" for English, the model above for the rest."""
    device: str = "cpu"
    compute_type: str = "int8"
    threads: int = Field(default=1, ge=1, le=64)
    workers: int = Field(default=2, ge=1, le=64)
    """Windows that one replica decodes at a time."""
    queued: int = Field(default=64, ge=1, le=4_096)
    """Windows that wait for that; one more is refused: `engine.busy`."""
    beam: int = Field(default=1, ge=1, le=10)
    turn_detector: str = "auto"
    """Engine that hears in a silence whether the turn is over, in the gateway's process: `smart_turn`, or
    `none`; `auto`: the first, unless `engine` is scripted."""
    turn_reader: Literal["auto", "smollm2", "none"] = "auto"
    """Model that reads, beside the rules, whether the text of a silence ends there, in the gateway's process:
    the packaged language model, or `none`; `auto`: the first, unless `engine` is scripted or `turn_detector`
    is `none`."""
    stall_s: float = Field(default=60.0, gt=0)
    """So long a window may be at work; then the engine counts as stopped, and its replica is replaced."""
    script: Path | None = None
    """Scripted engine only: a JSON file that says what it hears."""
    providers: dict[Annotated[str, Field(min_length=1, max_length=64)], TranscriptionProviderSettings] = {}
    """Servers elsewhere, by the names that sessions choose."""

    @property
    def hears_turns_by(self) -> str:
        """`turn_detector`, with `auto` resolved."""
        if self.turn_detector == "auto":
            return "none" if self.engine == "scripted" else "smart_turn"
        return self.turn_detector

    @property
    def reads_turns_by(self) -> str:
        """`turn_reader`, with `auto` resolved."""
        if self.turn_reader == "auto":
            return "none" if self.engine == "scripted" or self.hears_turns_by == "none" else "smollm2"
        return self.turn_reader


class QualitySpeechToTextSettings(ClosedModel):
    """The quality way: which engine writes whole utterances down."""

    engine: str = "auto"
    """`whisperx`: the real package, in an environment of its own (`make env-speech-gpu`); `whisper`: full
    windows without it; `auto`: the first where its environment exists, else the second."""
    python: Path | None = None
    """The interpreter of that environment; None: `.venv-speech` beside the program."""
    model: str = "base"
    """"base" (packaged), a folder, or, where the hub can be reached, a name as "large-v2"."""
    device: str = "cpu"
    compute_type: str = "int8"
    threads: int = Field(default=1, ge=1, le=64)
    beam: int = Field(default=5, ge=1, le=10)
    batch: int = Field(default=8, ge=1, le=128)
    """Utterances of one language that are decoded together."""
    batch_wait_s: float = Field(default=0.02, ge=0, le=5)
    """How long the first of them waits for others."""
    align: bool = True
    """Word times by WhisperX's aligner, where it has a model for the language; else by Whisper's own."""
    align_model: str | None = None
    """A folder with a wav2vec2 model; None: WhisperX's choice for the language."""
    diarize: bool = False
    """Say who speaks; needs a model that has to be asked for."""
    diarize_token: SecretStr | None = None
    queued: int = Field(default=64, ge=1, le=4_096)
    stall_s: float = Field(default=600.0, gt=0)
    """So long a batch may be at work, of a large model on a CPU as well; then the engine counts as stopped,
    and its replica is replaced."""
    script: Path | None = None
