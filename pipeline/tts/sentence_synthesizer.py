"""Sentences to audio events: voiced side by side, tried again where that may help, recorded in order."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final, Protocol, Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.core.clock import Clock
from pipeline.engines.ports import (
    EngineResult,
    OpusChunk,
    Speaker,
    SpokenBy,
    TimedWord,
    Voiced,
    WordTimes,
    is_ours,
)
from pipeline.observability import span_names
from pipeline.observability.tracer import CURRENT_CONTEXT, event, fail, shows_content, span
from pipeline.tts.normalisation.draft import SpokenText
from pipeline.tts.sentence_manner import AS_WRITTEN, SentenceManner
from pipeline.tts.turn_checkpoint import ResumedSentence, TurnCheckpoint
from schemas.errors import EngineBusy, EngineDead, RhapsodeError
from schemas.events import (
    AudioChunk,
    Event,
    SentenceCompleted,
    SentenceFailed,
    SentenceSkipped,
    SentenceVoiced,
)
from schemas.events.turn_events import Word
from schemas.settings import SessionSettings
from schemas.settings.provider_settings import LOCAL

ENOUGH_S: Final = 4.0
"""Seconds of unheard sound up to which a turn goes on at once."""
_MOST_S: Final = 1.0
"""A sentence gives way for so long at most: turns end long before they are heard out, whoever comes."""
_LOOK_S: Final = 0.25
"""Seconds between looks: the unheard sound may shrink at once when a sentence fails or is skipped."""


class FirstAudioPriority:
    """Among the turns of one process."""

    def __init__(self) -> None:
        self._awaited = 0
        self._all_heard = anyio.Event()

    @contextmanager
    def awaited(self) -> Iterator[Callable[[], None]]:
        """A turn's first sound is, until what this yields is called; at the latest until the end."""
        if self._awaited == 0:
            self._all_heard = anyio.Event()
        self._awaited += 1
        waits = True

        def heard() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._awaited -= 1
                if self._awaited == 0:
                    self._all_heard.set()

        try:
            yield heard
        finally:
            heard()

    async def yield_to_waiting(self, spare_s: Callable[[], float]) -> None:
        """Return when no first sound is awaited, `spare_s()` of sound is not enough, or a second is over."""
        with anyio.move_on_after(_MOST_S):
            while self._awaited and (more_s := spare_s() - ENOUGH_S) > 0:
                with anyio.move_on_after(min(more_s, _LOOK_S)):
                    await self._all_heard.wait()


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

    def made(self, item: Voiced) -> None:
        if self._span is None or not isinstance(item, OpusChunk):
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
        self,
        number: int,
        start: int,
        spoken: SpokenText,
        remainder: ResumedSentence | None = None,
        *,
        language: str | None = None,
        manner: SentenceManner = AS_WRITTEN,
    ) -> None:
        """`language`: of the sentence; None: any voice may speak it."""
        self.language = language
        self.manner = manner
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
        self._send, self.items = anyio.create_memory_object_stream[Voiced](_BUFFERED_CHUNKS)

    async def hold(self) -> Self:
        """Waits for all of its sound, which is in `items` then."""
        made = [item async for item in self.items]
        self.close()
        self._send, self.items = anyio.create_memory_object_stream[Voiced](len(made))
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
                voice=self.manner.voice or settings.voice,
                speed=self.manner.speed(settings.speech_speed),
                delivery=EngineResult(
                    settings.tts_provider,
                    settings.tts_timeout_s,
                    settings.tts_extra,
                    self.language,
                    settings.language,
                    style=settings.style,
                    instructions=settings.instructions,
                    phonemes=self.spoken.phonemes,
                    required=("phonemes",) if self.spoken.required else (),
                    pause_ms=self.manner.pause_ms,
                    # A turn that is audible waits anew: until then no turn had to wait for it.
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

    def _rest(self, made: Voiced, begun: ResumedSentence) -> OpusChunk | None:
        """Returns the part of a chunk that was not recorded before the takeover; word times only align it."""
        if isinstance(made, OpusChunk):
            return begun.part(made)
        if isinstance(made, SpokenBy):
            return None
        begun.align(made.words)
        self._words, self._made_ms = made.words, begun.left_out_ms
        return None

    def _note(self, item: Voiced, now: float) -> None:
        if isinstance(item, WordTimes):
            self._words = item.words
        if not isinstance(item, OpusChunk):
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


_CHARS_PER_S: Final = 20.0
"""Of quick speech: who is thought to have less sound before them than they have goes on a little earlier."""


_AHEAD_MS: Final = 500
_HEAD_START_S: Final = 0.25
"""The second sentence waits so long at most for the first one's sound, whose engine it would share."""


class Record(Protocol):
    def __call__(self, event: Event, *, audio: bytes = b"") -> Awaitable[None]: ...


class SentenceSynthesizer:
    """Speaks a turn's lines: at most `ahead` of them in synthesis beyond the one being recorded."""

    def __init__(
        self,
        speaker: Speaker,
        settings: SessionSettings,
        record: Record,
        clock: Clock,
        *,
        ahead: int,
        progress: TurnCheckpoint,
        priority: FirstAudioPriority | None = None,
    ) -> None:
        """`priority`: towards other turns; None: none."""
        self._speaker = speaker
        self._settings = settings
        self._record = record
        self._clock = clock
        self._ahead = ahead
        self._priority = priority
        self.whole = settings.listening.mode == "legacy"
        """Nothing is recorded before all of it has been made."""
        self._playing = anyio.Event()
        self._playing.set()
        self._current: dict[int, SentenceSynthesis] = {}
        self._synthesis_over = anyio.Event()
        self._sounded = anyio.Event()
        """The first sentence has its first sound, is over without one, or has had its head start."""
        self._skipped: set[int] = set()
        self.audio_ms = progress.audio_ms
        self.first_audio_at_ms = progress.first_audio_ms
        self._ends_ms = 0
        """When what is recorded will have been heard, if nothing keeps its listener; wall clock."""
        self._sounding: int | None = None
        """The sentence of which some sound is recorded."""

    def pause(self) -> None:
        """Begin no further sentence."""
        if self._playing.is_set():
            self._playing = anyio.Event()

    async def stop_synthesis(self) -> None:
        """Begin no further sentence; return when those that were begun are recorded."""
        self.pause()
        while self._current:
            self._synthesis_over = anyio.Event()
            await self._synthesis_over.wait()

    def resume(self) -> None:
        self._playing.set()

    def skip(self, sentence: int) -> None:
        """Make no (more) audio of this sentence, begun or not."""
        self._skipped.add(sentence)
        self._ends_ms = 0  # the listener may be anywhere now
        if synthesis := self._current.get(sentence):
            synthesis.skip()

    async def speak(self, queue: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        """Return when every line's last event is recorded."""
        begun, in_order = anyio.create_memory_object_stream[SentenceSynthesis](self._ahead)
        try:
            async with in_order, anyio.create_task_group() as voices:
                voices.start_soon(self._record_in_order, in_order)
                await self._begin_in_order(queue, begun, voices)
        finally:
            for synthesis in self._current.values():
                synthesis.close()

    async def _begin_in_order(
        self,
        queue: MemoryObjectReceiveStream[SentenceSynthesis],
        begun: MemoryObjectSendStream[SentenceSynthesis],
        voices: TaskGroup,
    ) -> None:
        async with begun, queue:
            async for synthesis in queue:
                if not self.whole:
                    await self._give_way()
                while not self._playing.is_set():
                    await self._playing.wait()
                if synthesis.number in self._skipped:
                    synthesis.skip()
                synthesis.begin()
                self._current[synthesis.number] = synthesis
                await begun.send(synthesis)
                voices.start_soon(synthesis.synthesize, self._speaker, self._settings, self._clock)

    async def _give_way(self) -> None:
        """To first sounds: of other turns, and of this one."""
        if self._priority is not None:
            await self._priority.yield_to_waiting(self._spare_s)
        if self._current and self.first_audio_at_ms is None:
            with anyio.move_on_after(_HEAD_START_S):
                await self._sounded.wait()
            self._sounded.set()  # once a turn: the third sentence waits for nothing

    @property
    def is_ahead(self) -> bool:
        """So much sound is recorded beyond what can have been heard that a little later is early enough."""
        return self._ends_ms - self._clock.now_ms() >= _AHEAD_MS

    def _spare_s(self) -> float:
        """Of sound that nobody has heard yet, about: recorded, or of a sentence whose sound is to come."""
        silent = (synthesis for number, synthesis in self._current.items() if number != self._sounding)
        chars = sum(len(synthesis.spoken.text) for synthesis in silent)
        recorded_s = max(0, self._ends_ms - self._clock.now_ms()) / 1_000
        return recorded_s + chars / (_CHARS_PER_S * self._settings.speech_speed)

    async def _record_in_order(self, queue: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        async with queue:
            for synthesis in [await synthesis.hold() async for synthesis in queue] if self.whole else ():
                await self._record_synthesis(synthesis)
                self._finish(synthesis)
            async for synthesis in queue:
                try:
                    await self._record_synthesis(synthesis)
                finally:
                    synthesis.close()
                    self._finish(synthesis)

    def _finish(self, synthesis: SentenceSynthesis) -> None:
        self._current.pop(synthesis.number, None)
        self._synthesis_over.set()
        self._sounded.set()

    async def _record_synthesis(self, synthesis: SentenceSynthesis) -> None:
        remainder = synthesis.remainder or ResumedSentence(self.audio_ms)
        at_ms, chunks = remainder.at_ms, remainder.chunks
        words: tuple[Word, ...] = ()
        by = SpokenBy(self._settings.voice, "")
        async for item in synthesis.items:
            if synthesis.skipped:
                break
            if isinstance(item, SpokenBy):
                by = item
            elif isinstance(item, WordTimes):
                words = synthesis.words(item, at_ms)
                remainder.align(words)
            elif part := remainder.part(item):
                if chunks == 0:
                    await self._announce(synthesis, by, words, at_ms)
                await self._record_chunk(synthesis, chunks, part)
                chunks += 1
        await self._record(self._closing_event(synthesis, at_ms))

    async def _record_chunk(self, synthesis: SentenceSynthesis, number: int, chunk: OpusChunk) -> None:
        await self._record(
            AudioChunk(
                sentence=synthesis.number,
                chunk=number,
                at_ms=self.audio_ms,
                ms=chunk.ms,
                bytes=len(chunk.packets),
                last=chunk.last,
            ),
            audio=chunk.packets,
        )
        self.audio_ms += chunk.ms
        self._sounding = synthesis.number
        self._ends_ms = max(self._ends_ms, self._clock.now_ms()) + chunk.ms

    async def _announce(
        self, synthesis: SentenceSynthesis, by: SpokenBy, words: tuple[Word, ...], at_ms: int
    ) -> None:
        if self.first_audio_at_ms is None:
            self.first_audio_at_ms = self._clock.now_ms()
            self._sounded.set()
            event(span_names.FIRST_AUDIO)
        await self._record(
            SentenceVoiced(
                sentence=synthesis.number,
                voice=by.voice,
                provider=by.provider,
                ignored=by.ignored,
                at_ms=at_ms,
                words=words,
                ttfb_ms=None if synthesis.first_at is None else _ms(synthesis.first_at - synthesis.begun_at),
            )
        )

    def _closing_event(self, synthesis: SentenceSynthesis, at_ms: int) -> Event:
        if synthesis.skipped:
            return SentenceSkipped(sentence=synthesis.number)
        if synthesis.error is not None:
            return SentenceFailed(
                sentence=synthesis.number, code=synthesis.error.code, message=str(synthesis.error)
            )
        made_ms = _ms(synthesis.voice_s) if synthesis.voice_s and not synthesis.remainder else None
        return SentenceCompleted(
            sentence=synthesis.number, at_ms=at_ms, ms=self.audio_ms - at_ms, made_ms=made_ms
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)
