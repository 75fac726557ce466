"""Engines that do what a script says, on time and always the same: for tests and for load tests.

They measure what everything around the models costs. Their sound is not meant for listening.
"""

import asyncio
import json
import re
import threading
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pipeline.engines.ports import (
    AS_CONFIGURED,
    ChatRequest,
    Completion,
    EngineResult,
    TimedWord,
    ToolCall,
    WordTimes,
    Written,
    wished,
)
from pipeline.engines.watchdog import Watchdog
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, UnknownVoice
from schemas.languages import ANY
from schemas.settings import LanguageModelSettings, TextToSpeechSettings

ErrorCode = Literal["engine.busy", "engine.failed", "engine.dead"]
_ERRORS: Final[dict[ErrorCode, type[EngineError]]] = {
    "engine.busy": EngineBusy,
    "engine.failed": EngineFailed,
    "engine.dead": EngineDead,
}
_STORY: Final = (
    "An old keeper lived in a lighthouse at the edge of the sea. Every evening he climbed the stairs "
    "and lit the lamp. One night a small fox came to his door, wet and shivering from the storm. "
    "He let it in, and they sat by the fire until morning. From that day on the keeper was never alone."
)
_WORD: Final = re.compile(r"\S*\w\S*")
_HANG_AFTER: Final = 2
"""Deltas of an answer, or pieces of a sentence."""
_LOUDNESS: Final = 1_500
"""Peak of the tone, out of 32,767."""


class _Script(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    fail_code: ErrorCode = "engine.failed"
    hang: Path | None = None
    """File that stops an engine: the one that finds it, which removes it, hangs in the midst of its work."""


class Hanging:
    """As a library that does not come back: its work stays on a thread that nothing ends."""

    def __init__(self, when: Path | None, watchdog: Watchdog) -> None:
        self._when = when
        self._watchdog = watchdog

    async def perhaps(self) -> None:
        """Does not return where the file was there."""
        if self._when is None:
            return
        try:
            self._when.unlink()
        except FileNotFoundError:
            return
        work = partial(self._watchdog.watched, threading.Event().wait)
        threading.Thread(target=work, name="hanging", daemon=True).start()
        await asyncio.Event().wait()


class ScriptedCall(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: str = "{}"
    say: str = ""
    """Text before the call."""


class LanguageScript(_Script):
    """Script of the language model: the answers, and when they come."""

    reply: str = _STORY
    reply_to: dict[str, str] = Field(default_factory=dict)
    """Part of the last user message -> the reply; the first that fits. `{result}`: the last function's."""
    echo: bool = False
    """Every reply begins with the question."""
    delta_chars: int = Field(default=4, ge=1)
    """Characters of one delta; a delta counts as one token."""
    first_delta_ms: float = Field(default=0.0, ge=0)
    per_delta_ms: float = Field(default=0.0, ge=0)
    hurries: bool = True
    """Makes up for late items; False: an answer that was held up goes on at its pace, as a model does."""
    stamp: bool = False
    """Each delta is the time it was made at, monotonic nanoseconds and a space, instead of its text."""
    fail_after: int | None = Field(default=None, ge=0)
    """Deltas before every answer fails with `fail_code`; None: never."""
    fail_on: str | None = None
    """Answers to questions that contain this fail with `fail_code` after two deltas."""
    call_for: dict[str, tuple[ScriptedCall, ...]] = Field(default_factory=dict)
    """Part of the last user message -> what is called before it is answered, where it is offered."""


class SpeechScript(_Script):
    """Script of the voice: how it speaks a sentence."""

    voices: tuple[str, ...] = ("joe", "alto")
    languages: tuple[str, ...] = (ANY,)
    """Languages that each of them speaks."""
    follows: tuple[str, ...] = ()
    """Of `style`, `instructions` and `phonemes`: what it takes, without a difference that can be heard."""
    ms_per_char: float = Field(default=15.0, gt=0)
    chunk_ms: int = Field(default=240, ge=1)
    first_chunk_ms: float = Field(default=0.0, ge=0)
    per_chunk_ms: float = Field(default=0.0, ge=0)
    fail_on: str | None = None
    """Sentences that contain this fail with `fail_code`."""
    fail_every: int | None = Field(default=None, ge=1)
    """Every n-th sentence fails."""
    fail_after_chunks: int = Field(default=0, ge=0)
    """How far a failing sentence gets."""


class _ScriptedEngine:
    """Counts calls and open streams, and hangs where the script says so."""

    def __init__(self, script: _Script, settings: LanguageModelSettings | TextToSpeechSettings) -> None:
        self._watchdog = Watchdog(settings.stall_s)
        self._hanging = Hanging(script.hang, self._watchdog)
        self.open_streams = 0
        self.calls = 0

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1

    def check(self) -> None:
        """Raises EngineDead once it hangs for too long."""
        self._watchdog.check()

    async def aclose(self) -> None:
        """Nothing to give back."""


class ScriptedLanguageModel(_ScriptedEngine):
    """Answers by the script. A last message of the assistant is continued where the script contains it."""

    def __init__(self, settings: LanguageModelSettings) -> None:
        self._script = LanguageScript.model_validate(_read(settings.script))
        super().__init__(self._script, settings)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`."""
        script = self._script
        words_in = sum(len(message.content.split()) for message in request.messages)
        self.calls += 1
        with self._opened():
            if calls := self._calls(request):
                for call in calls:
                    if isinstance(call, ToolCall) or call:
                        yield call
                yield Completion("tool_calls", tokens_in=words_in, tokens_out=len(calls))
                return
            deltas, finish = _cut(self._reply(request), script.delta_chars, request)
            pace = _Pace(script.first_delta_ms, script.per_delta_ms, hurries=script.hurries)
            fail_after = script.fail_after
            if script.fail_on is not None and script.fail_on in _question(request):
                fail_after = min(2, len(deltas))
            for number, delta in enumerate(deltas):
                if number == fail_after:
                    break
                if number == _HANG_AFTER:
                    await self._hanging.perhaps()
                await pace.wait()
                yield f"{monotonic_ns()} " if script.stamp else delta
            if fail_after is not None and fail_after <= len(deltas):
                raise _ERRORS[script.fail_code]("The script says: fail.")
            yield Completion(finish, tokens_in=words_in, tokens_out=len(deltas))

    def _calls(self, request: ChatRequest) -> list[str | ToolCall]:
        """Call that the script asks for, unless the last message is its result already."""
        if not request.functions or request.choice == "none" or request.messages[-1].role == "tool":
            return []
        asked = _question(request)
        wished = next((calls for part, calls in self._script.call_for.items() if part in asked), ())
        choices = {f"function:{one.name}": one.name for one in request.functions}
        offered = {choices[request.choice]} if request.choice in choices else set(choices.values())
        possible = [call for call in wished if call.name in offered]
        called: list[str | ToolCall] = []
        for number, call in enumerate(possible if request.parallel else possible[:1]):
            place = f"{len(request.messages)}_{number}"
            called += [call.say, ToolCall(f"call_{place}", call.name, call.arguments)]
        return called

    def _reply(self, request: ChatRequest) -> str:
        asked = _question(request)
        replies = (reply for part, reply in self._script.reply_to.items() if part in asked)
        reply = next(replies, self._script.reply)
        if self._script.echo:
            reply = f"{asked} {reply}"
        results = (message.content for message in reversed(request.messages) if message.role == "tool")
        reply = reply.replace("{result}", next(results, ""))
        begun = request.messages[-1] if request.messages else None
        if begun is not None and begun.role == "assistant" and reply.startswith(begun.content):
            return reply[len(begun.content) :]
        return reply


def _question(request: ChatRequest) -> str:
    return next((m.content for m in reversed(request.messages) if m.role == "user"), "")


class ScriptedTextToSpeech(_ScriptedEngine):
    """Hums each word for as long as it is: the pitch tells the text, silence separates the words."""

    sample_rate: int = 24_000

    def __init__(self, settings: TextToSpeechSettings) -> None:
        self._script = SpeechScript.model_validate(_read(settings.script))
        super().__init__(self._script, settings)

    @property
    def voices(self) -> tuple[str, ...]:
        return self._script.voices

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return dict.fromkeys(self.voices, self._script.languages)

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`."""
        return wished(delivery, *self._script.follows)

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`."""
        if voice not in self.voices:
            raise UnknownVoice(f"There is no voice {voice!r}.", field="voice")
        words = _word_times(text, self._script.ms_per_char / speed)
        if not words:
            return
        self.calls += 1
        script, times = self._script, WordTimes(words)
        fails = (script.fail_on is not None and script.fail_on in text) or (
            script.fail_every is not None and self.calls % script.fail_every == 0
        )
        pace = _Pace(script.first_chunk_ms, script.per_chunk_ms)
        with self._opened():
            for number, chunk in enumerate(self._chunks(text, voice, times)):
                if fails and number == script.fail_after_chunks:
                    break
                if number == _HANG_AFTER:
                    await self._hanging.perhaps()
                await pace.wait()
                if number == 0:
                    yield times
                yield chunk
            if fails:
                raise _ERRORS[script.fail_code](f"The script says: fail on {text[:40]!r}.")

    def _chunks(self, text: str, voice: str, times: WordTimes) -> Iterator[bytes]:
        pcm = _hum(f"{voice}:{text}", times, self.sample_rate)
        step = self._script.chunk_ms * self.sample_rate // 1_000
        for start in range(0, len(pcm), step):
            yield pcm[start : start + step].tobytes()


def build_language_model(settings: LanguageModelSettings, cache: Path) -> ScriptedLanguageModel:
    """The registry's factory; needs no cache."""
    return ScriptedLanguageModel(settings)


def build_text_to_speech(settings: TextToSpeechSettings, cache: Path) -> ScriptedTextToSpeech:
    """The registry's factory; needs no cache."""
    return ScriptedTextToSpeech(settings)


class _Pace:
    """Waits by a timetable: a late step delays the ones after it only where nobody `hurries`."""

    def __init__(self, first_ms: float, each_ms: float, *, hurries: bool = True) -> None:
        self._clock = asyncio.get_running_loop().time
        self._due = self._clock() + first_ms / 1_000
        self._each_s = each_ms / 1_000
        self._hurries = hurries

    async def wait(self) -> None:
        await asyncio.sleep(max(0.0, self._due - self._clock()))
        self._due = (self._due if self._hurries else max(self._due, self._clock())) + self._each_s


def _read(path: Path | None) -> Any:
    return {} if path is None else json.loads(path.read_text(encoding="utf-8"))


def _cut(reply: str, size: int, request: ChatRequest) -> tuple[list[str], Literal["stop", "length"]]:
    ends = [reply.find(mark) for mark in request.stop if mark in reply]
    reply = reply[: min(ends, default=len(reply))]
    deltas = [reply[at : at + size] for at in range(0, len(reply), size)]
    if len(deltas) > request.max_tokens:
        return deltas[: request.max_tokens], "length"
    return deltas, "stop"


def _word_times(text: str, ms_per_char: float) -> tuple[TimedWord, ...]:
    return tuple(
        TimedWord(*found.span(), round(found.start() * ms_per_char), round(found.end() * ms_per_char))
        for found in _WORD.finditer(text)
    )


def _hum(name: str, times: WordTimes, rate: int) -> NDArray[np.int16]:
    """A tone per word, from the start of the text to the end of its last word."""
    pitch_hz = 180 + zlib.crc32(name.encode()) % 220
    seconds = np.arange(times.words[-1].end_ms * rate // 1_000) / rate
    voiced = np.zeros(len(seconds))
    for word in times.words:
        voiced[word.start_ms * rate // 1_000 : word.end_ms * rate // 1_000] = _LOUDNESS
    return np.asarray(np.sin(2 * np.pi * pitch_hz * seconds) * voiced, dtype=np.int16)
