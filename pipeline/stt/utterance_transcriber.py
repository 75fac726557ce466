"""One utterance on its way to text: what is understood so far, ahead of its end, and for good."""

import logging
import re
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.core.clock import Clock
from pipeline.engines.ports import SpeechToText, TextEndDetector, Transcribers, Transcript, Utterance
from pipeline.stt.agreement import Agreement
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.turn_hints import Hint, TurnSigns, is_read, reads_as
from pipeline.stt.utterance_span import UtteranceSpan
from schemas.errors import EngineBusy, EngineError, EngineFailed, InputError, RhapsodeError
from schemas.settings.listening_settings import ListeningSettings, Mode

log = logging.getLogger(__name__)

TextCallback = Callable[[str], Awaitable[None]]
"""Hears the text as far as it has come."""
_TAIL_MS: Final = 200
"""Of the silence after the last word: models that hear it make fewer mistakes in that word."""
_ATTEMPTS: Final = 3
_RETRY_S: Final = 0.2
_LEISURE: Final = 2.0
"""A partial text is made again after at least so many times as long as the last one took."""
_HALVES: Final = re.compile(r"[\ud800-\udfff]")
Tell = Callable[[str, int, int], Awaitable[None]]
"""The text so far, its stable characters, and how far it was listened."""


@dataclass(frozen=True, slots=True)
class SpeculativeText:
    """Transcript of an utterance by one listening mode."""

    mode: Mode
    transcript: Transcript
    from_ms: int
    """Where the sound began that it was made from."""
    cpu_ms: float
    revisions: int = 0


class SpeculativeTranscript:
    """Of one silence. It is told only once the silence is known to be the end."""

    def __init__(self, end_ms: int) -> None:
        self.end_ms = end_ms
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.written: SpeculativeText | None = None
        self._text = ""
        self._reader: TextCallback | None = None

    @property
    def text(self) -> str:
        return self.written.transcript.text if self.written is not None else ""

    @property
    def language(self) -> str:
        return self.written.transcript.language if self.written is not None else ""

    async def receive(self, text: str) -> None:
        """The engine has come so far."""
        self._text = text
        if self._reader is not None:
            await self._reader(text)

    async def adopted(self, reader: TextCallback) -> SpeculativeText | None:
        """It was the end: `reader` hears how far it is, and what comes. None: it could not be made."""
        if not self.done.is_set():
            self._reader = reader
            if self._text:
                await reader(self._text)
            await self.done.wait()
        return self.written


async def write_down(
    engine: SpeechToText, utterance: Utterance, on_text: TextCallback | None = None
) -> Transcript:
    """The whole answer; `told` hears the text as far as it has come. Raises EngineError, InputError."""
    text = ""
    async with aclosing(_items(engine, utterance)) as items:
        async for item in items:
            if isinstance(item, Transcript):
                return replace(item, text=_writable(item.text))
            text += _writable(item)
            if on_text is not None:
                await on_text(text)
    raise EngineFailed("the engine ended without a transcript")


async def _items(engine: SpeechToText, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
    """Yields the engine's items. An error of the engine fails this utterance and no other."""
    try:
        async with aclosing(engine.transcribe(utterance)) as items:
            async for item in items:
                yield item
    except RhapsodeError:
        raise
    except Exception as error:  # libraries and servers elsewhere raise what they like
        log.warning("a speech-to-text engine raised %s", _told(error))
        raise EngineFailed(f"the engine failed unexpectedly ({type(error).__name__})") from None


def _told(error: Exception) -> str:
    """For a log line: the message of an error of ours alone, as others may repeat what was said."""
    if isinstance(error, RhapsodeError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.filename}:{place.lineno}"


async def _ask(question: Callable[[], Awaitable[float]], hear: Callable[[float], None]) -> None:
    """Without an answer the other signs decide: a detector that fails ends no input."""
    try:
        hear(await question())
    except EngineBusy:
        return
    except Exception as error:  # detectors of other packages raise what they like
        log.warning("a detector of the end of a turn failed: %s", _told(error))


async def _read(text: str, language: str, signs: TurnSigns, reader: TextEndDetector | None) -> None:
    """The rules say at once how the text reads; the model that reads it answers somewhat later."""
    signs.read(reads_as(text, language))
    if reader is not None and text and is_read(language):
        await _ask(partial(reader.end_of_text, text), signs.judged)


def _ignore(wait: object) -> None:
    """Before the first silence there is nothing to say."""


def _writable(text: str) -> str:
    """Halves of surrogate pairs, which no encoding can write, become U+FFFD; nothing else moves."""
    return _HALVES.sub("\ufffd", text)


class UtteranceTranscriber:
    """Belongs to one utterance. Its work runs in `tasks`; every failure of a text that is not the last is
    nobody's loss."""

    def __init__(
        self,
        transcribers: Transcribers,
        settings: ListeningSettings,
        language: str | None,
        ring_buffer: AudioRingBuffer,
        clock: Clock,
        tasks: TaskGroup,
        from_ms: int,
    ) -> None:
        """`from_ms`: where the sound begins that it is written down from."""
        self._transcribers = transcribers
        self._settings = settings
        self.language = language
        self._ring_buffer = ring_buffer
        self._clock = clock
        self._tasks = tasks
        self.from_ms = max(ring_buffer.from_ms, from_ms)
        self._agreement = Agreement()
        self._cpu_ms = 0.0
        self._partial: anyio.CancelScope | None = None
        self.next_partial_ms = from_ms + settings.endpointing.prefix_padding_ms + settings.partials_ms
        """The sound up to here is enough for the next partial text."""
        self._speculative: SpeculativeTranscript | None = None
        self._signs = TurnSigns(_ignore)
        self._sound: bytes | None = None
        """All of it, once it is over."""
        self.over = False
        self.span = UtteranceSpan()
        self.understood: str | None = "" if self._listens_along and settings.partials_ms else None
        """The newest text of what was said so far; None: there is none before the end."""

    @property
    def _listens_along(self) -> bool:
        """Not with a server elsewhere: each partial text would be a request for all of the sound so far."""
        return self._settings.mode == "realtime" and self._settings.provider is None

    def grow(self, at_ms: int, tell: Tell) -> None:
        """There is sound up to `at_ms`: perhaps it is time to say what has been understood."""
        due = self._settings.partials_ms and at_ms >= self.next_partial_ms
        if (
            due
            and self._listens_along
            and self._partial is None
            and self._speculative is None
            and not self.over
        ):
            self._partial = anyio.CancelScope()
            self._tasks.start_soon(self._make_partial, self._partial, at_ms, tell)

    async def _make_partial(self, scope: anyio.CancelScope, at_ms: int, tell: Tell) -> None:
        began = self._clock.monotonic()
        try:
            with scope:
                text = await self._text_so_far(at_ms)
                if not self.over:
                    self.understood = text
                    await tell(*self._agreement.push(text), at_ms)
        except EngineError:
            pass  # the next one, or the last, will do
        finally:
            self._partial = None
            took_ms = (self._clock.monotonic() - began) * 1_000
            self.next_partial_ms = at_ms + max(self._settings.partials_ms, int(took_ms * _LEISURE))

    async def _text_so_far(self, at_ms: int) -> str:
        sound = Utterance(self._ring_buffer.slice(self.from_ms, at_ms), self.language, partial=True)
        with self.span.within():
            made = await write_down(self._transcribers.realtime, sound)
        self._cpu_ms += made.cpu_ms
        return made.text

    def pause(self, end_ms: int, at_ms: int, hint: Hint) -> None:
        """Silence: write down what would be the text if it ended here, and say whether it seems to end."""
        sound = self._ring_buffer.slice(self.from_ms, at_ms)
        signs = self._signs = TurnSigns(hint)
        if self._transcribers.turns is not None and self._settings.endpointing.hint:
            self._tasks.start_soon(_ask, partial(self._transcribers.turns.end_of_turn, sound), signs.heard)
        if self._settings.mode != "realtime":
            return
        self._drop_partial()
        self._speculative = SpeculativeTranscript(end_ms)
        self._tasks.start_soon(self._write_ahead, self._speculative, sound, signs)

    async def _write_ahead(self, speculative: SpeculativeTranscript, sound: bytes, signs: TurnSigns) -> None:
        with speculative.scope:
            try:
                speculative.written = await self._write("realtime", sound, speculative.receive)
            except (EngineError, InputError):
                return  # then at the end
            finally:
                speculative.done.set()
            if self._speculative is speculative:
                reader = self._transcribers.texts if self._settings.endpointing.hint else None
                await _read(speculative.text, speculative.language, signs, reader)

    def go_on(self) -> None:
        """It was not the end."""
        self._signs.drop()
        if self._speculative is not None:
            self._speculative.scope.cancel()
            self._speculative = None

    def _drop_partial(self) -> None:
        if self._partial is not None:
            self._partial.cancel()

    def end(self, end_ms: int, at_ms: int) -> None:
        """It was spoken until `end_ms`, and is over: what comes after `at_ms` is no part of it.

        Whatever is still to be made of it is made of the same sound, however long that takes.
        """
        self._sound = self._ring_buffer.slice(self.from_ms, min(end_ms + _TAIL_MS, at_ms))

    async def final(self, end_ms: int, tell: Tell) -> SpeculativeText:
        """The text for good. Raises EngineError when no engine could make it."""
        if self._sound is None:
            self.end(end_ms, self._ring_buffer.at_ms)
        self._drop_partial()
        self._signs.drop()
        speculative, self._speculative = self._speculative, None
        self.over = True

        async def on_text(text: str) -> None:
            await tell(text, len(text), end_ms)

        written: SpeculativeText | None = None
        if speculative is not None and speculative.end_ms == end_ms:
            written = await speculative.adopted(on_text)
        elif speculative is not None:
            speculative.scope.cancel()
        if written is None:
            written = await self._write_with_patience(on_text)
        self._agreement.final(written.transcript.text)
        self.span.end()
        return SpeculativeText(
            written.mode, written.transcript, self.from_ms, self._cpu_ms, self._agreement.revisions
        )

    @property
    def _whole(self) -> bytes:
        assert self._sound is not None
        return self._sound

    async def otherwise(self, mode: Mode) -> SpeculativeText:
        """After `final`: the same utterance in the other way than `mode`, all at once. Raises EngineError."""
        return await self._write("quality" if mode == "realtime" else "realtime", self._whole)

    async def _write_with_patience(self, on_text: TextCallback) -> SpeculativeText:
        """By the session's way; where that fails for good, by the other one."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._write(self._settings.mode, self._whole, on_text)
            except EngineError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    break
            await self._clock.sleep(_RETRY_S * (attempt + 1))
        return await self.otherwise(self._settings.mode)

    async def _write(self, mode: Mode, sound: bytes, on_text: TextCallback | None = None) -> SpeculativeText:
        realtime = mode == "realtime"
        utterance = Utterance(
            sound,
            self.language,
            words=True,
            prompt=self._settings.prompt,
            provider=self._settings.provider if realtime else None,
            translate=self._settings.translate,
        )
        way = self._transcribers.realtime if realtime else self._transcribers.quality
        with self.span.within():
            transcript = await write_down(way, utterance, on_text)
        self._cpu_ms += transcript.cpu_ms
        return SpeculativeText(mode, transcript, self.from_ms, transcript.cpu_ms)

    def give_up(self) -> None:
        """Cancels the transcription of this utterance."""
        self.over = True
        self._drop_partial()
        self.go_on()
        self.span.end()
