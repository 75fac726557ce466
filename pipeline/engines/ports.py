"""The ports to the models. Real, remote and scripted engines pass the same contract tests.

The caller that opens a stream closes it (`aclosing`), and closing stops the work.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Literal, Protocol, TypeVar

from schemas.languages import ANY, primary
from schemas.settings.provider_settings import LOCAL
from schemas.speech_style import Style


def is_ours(provider: str | None) -> bool:
    """Whether a wish means this server's own engine: by its name, or by naming none."""
    return provider in (None, LOCAL)


Item = TypeVar("Item", covariant=True)


class Stream(Protocol[Item]):
    """Items as they are made: an async generator, or an iterator that is closed like one."""

    def __aiter__(self) -> AsyncIterator[Item]: ...
    def __anext__(self) -> Awaitable[Item]: ...
    def aclose(self) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a function called. Its arguments are JSON as the model wrote it: it may be wrong."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    """Of the assistant."""
    call: str | None = None
    """Of a tool: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Function:
    """Function that the model may call. `parameters`: a JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


NAMED_CHOICE: Final = "function:"
"""Before the name of the one function that is to be called."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    messages: tuple[Message, ...]
    max_tokens: int = 320
    temperature: float = 0.6
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    json_schema: Mapping[str, Any] | None = None
    """The answer is one JSON document of this schema."""
    functions: tuple[Function, ...] = ()
    choice: str = "auto"
    """As `schemas.settings.model_settings.Choice`."""
    parallel: bool = True
    provider: str | None = None
    """Provider that is to answer; None: the model in this server, "local"."""
    model: str | None = None
    """Which of their models; None: as configured."""
    whole: bool = False
    """The oldest messages may not be forgotten: what does not fit is ContextTooLong."""
    principal: str = ""
    """Asks: calls to a busy engine are shared out between principals. Engines do not read it."""

    @property
    def must_call(self) -> bool:
        """The answer is the call of a function."""
        return bool(self.functions) and (self.choice == "required" or self.choice.startswith(NAMED_CHOICE))


@dataclass(frozen=True, slots=True)
class Completion:
    """The last item of every answer that was not cut off."""

    finish: Literal["stop", "length", "tool_calls"]
    tokens_in: int = 0
    tokens_out: int = 0
    provider: str = ""
    """Provider that answered, which can be a fallback; empty where there is but one."""
    model: str = ""


Written = str | ToolCall | Completion


class LanguageModel(Protocol):
    """Writes an answer as text deltas: never empty, never cumulative, then exactly one Completion.

    Where functions are offered, whole calls may come before it; then it finishes with "tool_calls".

    Raises EngineBusy (before the first delta only), UnknownProvider, UnknownModel, EngineDead or
    EngineFailed, among which are SchemaInvalid and ContextTooLong.
    """

    def stream(self, request: ChatRequest) -> Stream[Written]: ...
    async def aclose(self) -> None: ...


class Checked(Protocol):
    """An engine in this process."""

    def check(self) -> None:
        """Raises EngineDead where nothing can be expected of it any more: its process has to be replaced."""


class LocalLanguageModel(LanguageModel, Checked, Protocol):
    """A language model in this process."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """Characters [start, end) of the text given to the voice, in milliseconds of its audio."""

    start: int
    end: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class WordTimes:
    """When each word is heard; comes before the audio, once, from engines that know."""

    words: tuple[TimedWord, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class EngineResult:
    """How a user wants to be spoken to, beyond voice and speed."""

    provider: str | None = None
    """Provider that is to speak; None: the voice in this server, "local"."""
    timeout_s: float | None = None
    """How long a provider may be silent, before its first byte and between bytes; None: as configured.

    The voice in this server is not bound by it.
    """
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Handed to the provider as they are; the voice in this server knows none."""
    language: str | None = None
    """Language of the sentence, as a BCP 47 tag: only a voice that speaks it is asked; None: any is."""
    usual_language: str | None = None
    """Language of the session, which a voice that does not say what it speaks is expected to speak."""
    style: Style | None = None
    instructions: str = ""
    """How to speak, in a sentence of its own."""
    phonemes: tuple[tuple[int, int, str], ...] = ()
    """Characters [start, end) of the text and their pronunciation in IPA, in order."""
    required: tuple[str, ...] = ()
    """Fields of this class that the voice must be able to follow; others may be ignored."""
    pause_ms: int | None = None
    """Silence after the sentence; None: as the voice makes it."""
    waited_s: float = 0.0
    """Time that earlier attempts at the same sentence took; it counts against the caller's timeout."""


AS_CONFIGURED: Final = EngineResult()
_IGNORABLE: Final = ("style", "instructions", "phonemes")


def wished(delivery: EngineResult, *known: str) -> tuple[str, ...]:
    """Fields of `delivery` that are wished for, without those that an engine has `known` ways for."""
    return tuple(name for name in _IGNORABLE if name not in known and getattr(delivery, name))


@dataclass(frozen=True, slots=True)
class SpokenBy:
    """The voice that speaks the sentence; comes before everything else, once."""

    voice: str
    provider: str = LOCAL
    ignored: tuple[str, ...] = ()
    """Wishes that changed nothing, as `TextToSpeech.ignored` names them."""


class TextToSpeech(Protocol):
    """Turns one sentence into 16-bit little-endian mono PCM: [WordTimes] then chunks of bytes.

    Raises UnknownVoice, EngineBusy, EngineFailed or EngineDead.
    """

    @property
    def sample_rate(self) -> int: ...
    @property
    def voices(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        """Languages of each voice, as BCP 47 tags: `ANY` among them is every one; empty: not known."""
        ...

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """Which of `style`, `instructions` and `phonemes` are wished for and change nothing here."""
        ...

    def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> Stream[WordTimes | bytes]: ...
    async def aclose(self) -> None: ...


class LocalTextToSpeech(TextToSpeech, Checked, Protocol):
    """A voice in this process."""


@dataclass(frozen=True, slots=True)
class OpusChunk:
    """20 ms Opus packets (mono, 48 kHz clock), each preceded by its length as two big-endian bytes.

    A sentence's chunks, in order, are one Opus stream with a decoder of its own. The last one is
    padded with silence to whole packets, so `ms` is a multiple of 20 and adds up exactly.
    """

    packets: bytes
    ms: int
    last: bool = False
    """True on exactly the last chunk of a sentence that was spoken to its end."""


Voiced = SpokenBy | WordTimes | OpusChunk


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech to be written down: 16-bit little-endian mono PCM at 16 kHz."""

    pcm: bytes
    language: str | None = None
    """As "en"; None: the engine finds out."""
    words: bool = False
    """Say when each word was spoken."""
    partial: bool = False
    """More of it will come: be quick rather than right."""
    prompt: str = ""
    """Text that was said before, for names and style."""
    provider: str | None = None
    """Provider that is to transcribe it; None: this server."""
    translate: bool = False
    """Write it down in English, whatever was spoken; only Whisper in the quality way can."""


@dataclass(frozen=True, slots=True)
class WrittenWord:
    """Characters [start, end) of the text were spoken from start_ms to end_ms of the given sound."""

    start: int
    end: int
    start_ms: int
    end_ms: int
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Transcript of an utterance; the last item of every stream. No words, no text."""

    text: str
    language: str
    engine: str
    """Which engine and model, as "whisper base int8"."""
    words: tuple[WrittenWord, ...] = ()
    decode_ms: float = 0.0
    """Work on this request, without waiting for its turn."""
    cpu_ms: float = 0.0
    """Processor time of that work; 0 where the engine does not know."""


class SpeechToText(Protocol):
    """Writes one utterance down: maybe text deltas (never empty, never cumulative), then one Transcript.

    Closing the stream gives the work up where the engine can, and always the place in its queue. The deltas,
    where there are any, add up to the transcript's text. Raises EngineBusy (before anything else only),
    UnknownProvider, EngineFailed or EngineDead.
    """

    @property
    def providers(self) -> tuple[str, ...]:
        """Providers that can transcribe, beside this server."""
        ...

    def transcribe(self, utterance: Utterance) -> Stream[str | Transcript]: ...
    async def aclose(self) -> None: ...


class LocalSpeechToText(SpeechToText, Checked, Protocol):
    """Speech to text in this process."""


class TurnDetector(Protocol):
    """Tells from the sound whether a speaker who is silent now has finished the turn."""

    async def end_of_turn(self, pcm: bytes) -> float:
        """Probability, from 0 to 1, that PCM16 mono at 16 kHz, up to now, is a finished turn.

        The last eight seconds count. Raises EngineBusy where others wait already, EngineFailed or EngineDead.
        """
        ...

    async def aclose(self) -> None: ...


class TextEndDetector(Protocol):
    """Tells from the text so far whether a speaker who is silent now has finished the turn."""

    async def end_of_text(self, text: str) -> float:
        """Probability, from 0 to 1, that the text ends where it does, whatever mark it ends in.

        Raises EngineBusy where others wait already, EngineFailed or EngineDead.
        """
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Transcribers:
    """The two ways of writing speech down, local or remote, and the detectors of the end of a turn."""

    realtime: SpeechToText
    quality: SpeechToText
    turns: TurnDetector | None = None
    """Asked in a silence whether the turn is over; None: only the text is."""
    texts: TextEndDetector | None = None
    """Asked whether the text of a silence ends there; None: only the rules of `turn_hints` are."""


Providers = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Languages by provider and voice, as `TextToSpeech.languages` tells them."""


def spoken_languages(providers: Providers) -> frozenset[str]:
    """Languages that these voices say they speak, without scripts and regions."""
    tags = chain.from_iterable(chain.from_iterable(voices.values() for voices in providers.values()))
    return frozenset(primary(tag) for tag in tags if tag != ANY)


class Speaker(Protocol):
    """A voice as the pipeline sees it: encoded once, where it was made."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Every name that somebody here answers to, the voices in this server first."""
        ...

    @property
    def providers(self) -> Providers:
        """Voices by provider, with the languages of each; "local" is this server."""
        ...

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> Stream[Voiced]: ...
    async def aclose(self) -> None: ...
