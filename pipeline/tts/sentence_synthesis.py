"""One sentence on its way from text to sound: voiced, tried again where that may help, and kept in order."""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Final, Self

import anyio
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.core.clock import Clock
from pipeline.engines.ports import EngineResult, OpusChunk, Speaker, TimedWord, WordTimes
from pipeline.observability import span_names
from pipeline.observability.trace_context import CURRENT_CONTEXT, fail, shows_content, span
from pipeline.tts.normalization.spoken_text import SpokenText
from pipeline.tts.turn_checkpoint import ResumedSentence
from schemas.errors import EngineBusy, EngineDead, RhapsodeError
from schemas.events.turn_events import Word
from schemas.settings import SessionSettings
from schemas.settings.provider_settings import LOCAL, is_ours

_BUFFERED_CHUNKS = 16
"""Chunks of one sentence waiting for their turn to be recorded. When full, a voice in this process waits; one
elsewhere goes on, and the rest of its sentence waits where it came in."""
_ATTEMPTS = 3
"""Tries of a sentence whose engine died, or which a provider elsewhere was too busy to begin."""
_RETRY_S = 0.2


class SentenceSpan:
    """The span of a sentence's synthesis, or nothing."""

    def __init__(self, made: Span | None) -> None:
        self._span = made
        self._audio_ms = 0

    def made(self, item: WordTimes | OpusChunk) -> None:
        if self._span is None or isinstance(item, WordTimes):
            return
        if not self._audio_ms:
            self._span.add_event(span_names.FIRST_CHUNK)
        self._audio_ms += item.ms

    def retried(self, error: RhapsodeError, attempt: int) -> None:
        if self._span is not None:
            self._span.add_event(
                span_names.RETRIED, {span_names.ERROR_TYPE: error.code, span_names.ATTEMPT: attempt}
            )

    def ended(self, error: RhapsodeError | None, *, skipped: bool) -> None:
        if self._span is None:
            return
        self._span.set_attributes({span_names.AUDIO_MS: self._audio_ms, span_names.SKIPPED: skipped})
        if error is not None:
            fail(self._span, error.code)


_UNTOLD: Final = SentenceSpan(None)


@contextmanager
def synthesizing(number: int, text: str, settings: SessionSettings) -> Iterator[SentenceSpan]:
    """The synthesis of one sentence."""
    if CURRENT_CONTEXT.get().tracing is None:
        yield _UNTOLD
        return
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_SYNTHESIZE,
        span_names.PROVIDER: settings.tts_provider or LOCAL,
        span_names.OUTPUT_TYPE: span_names.SPEECH,
        span_names.VOICE: settings.voice,
        span_names.SENTENCE: number,
        span_names.SENTENCE_CHARS: len(text),
    }
    if shows_content():
        attributes[span_names.SENTENCE_TEXT] = text
    with span(span_names.SYNTHESIZE, attributes, kind=SpanKind.CLIENT) as made:
        yield SentenceSpan(made)


class SentenceSynthesis:
    """One sentence on its way from text to sound."""

    def __init__(
        self, number: int, start: int, spoken: SpokenText, remainder: ResumedSentence | None = None
    ) -> None:
        self.number = number
        self.remainder = remainder
        self.start = start
        self.spoken = spoken
        self.skipped = False
        self.error: RhapsodeError | None = None
        self.begun_at = 0.0
        self.first_at: float | None = None
        """When its first sound was there, if there was one."""
        self.voice_s = 0.0
        """Seconds that the voice took for it, without waits."""
        self._words: tuple[TimedWord, ...] = ()
        """Of the latest rendering, of which so much has gone out."""
        self._made_ms = 0
        self._made_whole = False
        self._scope = anyio.CancelScope()

    def begin(self) -> None:
        """Make room for its sound; `close` gives it back."""
        self._send, self.items = anyio.create_memory_object_stream[WordTimes | OpusChunk](_BUFFERED_CHUNKS)

    async def hold(self) -> Self:
        """Waits for all of its sound, which is in `items` then."""
        made = [item async for item in self.items]
        self.close()
        self._send, self.items = anyio.create_memory_object_stream[WordTimes | OpusChunk](len(made))
        for item in made:
            self._send.send_nowait(item)
        self._send.close()
        return self

    def skip(self) -> None:
        """Stop its synthesis; what is recorded stays."""
        self.skipped = True
        self._scope.cancel()

    async def synthesize(self, speaker: Speaker, settings: SessionSettings, clock: Clock) -> None:
        """Fill `items`, then end them; a failure is kept in `error`."""
        self.begun_at = clock.monotonic()
        async with self._send:
            with synthesizing(self.number, self.spoken.text, settings) as sentence_span:
                with self._scope:
                    await self._try(speaker, settings, clock, sentence_span)
                sentence_span.ended(self.error, skipped=self.skipped)

    async def _try(
        self, speaker: Speaker, settings: SessionSettings, clock: Clock, sentence_span: SentenceSpan
    ) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self.error = None
            await self._attempt(speaker, settings, clock, sentence_span)
            error: RhapsodeError | None = self.error
            if error is None or attempt == _ATTEMPTS or not self._may_help(error, settings):
                return
            sentence_span.retried(error, attempt)
            await clock.sleep(_RETRY_S * attempt)

    async def _attempt(
        self, speaker: Speaker, settings: SessionSettings, clock: Clock, sentence_span: SentenceSpan
    ) -> None:
        """Speak once; where a part has gone out already, only the rest of it does."""
        begun = ResumedSentence(0, heard_ms=self._made_ms, words=self._words) if self._sounded else None
        waiting_since = clock.monotonic()
        try:
            items = speaker.speak(
                self.spoken.text,
                voice=settings.voice,
                speed=settings.speech_speed,
                delivery=EngineResult(
                    settings.tts_provider,
                    settings.tts_timeout_s,
                    settings.tts_extra,
                    # Who has been heard waits anew: until then nobody had to be patient.
                    waited_s=0.0 if self._sounded else waiting_since - self.begun_at,
                ),
            )
            async with aclosing(items):
                async for made in items:
                    now = clock.monotonic()
                    self.voice_s += now - waiting_since
                    if (item := made if begun is None else self._rest(made, begun)) is not None:
                        sentence_span.made(item)
                        self._note(item, now)
                        await self._send.send(item)
                    waiting_since = clock.monotonic()
        except RhapsodeError as error:
            self.error = None if self._made_whole else error

    @property
    def _sounded(self) -> bool:
        return self.first_at is not None

    def _rest(self, made: WordTimes | OpusChunk, begun: ResumedSentence) -> OpusChunk | None:
        """Returns the part of a chunk that was not recorded before the takeover; word times only align it."""
        if isinstance(made, OpusChunk):
            return begun.part(made)
        begun.align(made.words)
        self._words, self._made_ms = made.words, begun.left_out_ms
        return None

    def _note(self, item: WordTimes | OpusChunk, now: float) -> None:
        if isinstance(item, WordTimes):
            self._words = item.words
            return
        self.first_at = now if self.first_at is None else self.first_at
        self._made_ms += item.ms
        self._made_whole = item.last

    def _may_help(self, error: RhapsodeError, settings: SessionSettings) -> bool:
        """Another try: our own voice, when it is busy, has been asked for as long as patience lasts.

        Where there was a sound, only another of our own voices goes on as if it had been the same.
        """
        ours = is_ours(settings.tts_provider)
        if self._sounded:
            return ours and isinstance(error, EngineDead)
        return error.retryable and not (ours and isinstance(error, EngineBusy))

    def words(self, times: WordTimes, at_ms: int) -> tuple[Word, ...]:
        """Word times of the spoken text, told of the shown text and of the turn's audio."""
        words = []
        for word in times.words:
            start, end = self.spoken.shown_range(word.start, word.end)
            words.append(
                Word(
                    start=self.start + start,
                    end=self.start + end,
                    start_ms=at_ms + word.start_ms,
                    end_ms=at_ms + word.end_ms,
                )
            )
        return tuple(words)

    def close(self) -> None:
        """Let go of the buffer, however far it got."""
        self._send.close()
        self.items.close()
