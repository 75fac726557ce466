"""One turn: from a request to its one terminal event, text and speech side by side."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from pipeline.core.clock import Clock, TimeSlice
from pipeline.engines.ports import Message, spoken_languages
from pipeline.eventlog.recorder import SessionWriter
from pipeline.observability import span_names
from pipeline.observability.tracer import TurnTrace, fail, turn_span
from pipeline.tts.normalisation.draft import SpokenText
from pipeline.tts.normalisation.spoken_text import Reading, plainly, to_spoken
from pipeline.tts.pronunciations import dictionary_of
from pipeline.tts.sentence_buffer import Fragment, SentenceBuffer
from pipeline.tts.sentence_language import sentence_language, usual_language
from pipeline.tts.sentence_manner import cuts_of, manner_of
from pipeline.tts.sentence_synthesizer import FirstAudioPriority, SentenceSynthesis, SentenceSynthesizer
from pipeline.tts.turn_checkpoint import ResumedSentence, TurnCheckpoint
from pipeline.turn.earlier_reading import EarlierReading, KeptSentence
from pipeline.turn.generation import Engines, Generation, Question
from schemas.errors import RhapsodeError
from schemas.events import (
    Event,
    SentenceCompleted,
    SentenceReady,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnResumed,
    TurnStarted,
    TurnStopped,
)
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.speech_style import Mark

log = logging.getLogger(__name__)

VERBATIM_PIECE = 8_000
"""Characters of text in one delta, at most: well below the log's limit for an event."""
CUT_PIECE = 500
"""Characters that are cut into sentences in one go: nothing else of the process is done meanwhile."""
WAITING_SENTENCES = 256
"""Sentences cut but not yet begun; when full the text waits for the voice."""

StopReason = Literal["user", "barge_in", "merged", "session_ended"]


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """All that a turn needs to know."""

    turn: TurnId
    kind: Literal["prompt", "text"]
    text: str
    settings: SessionSettings
    history: tuple[Message, ...] = ()
    requested_ms: int = 0
    given: tuple[GivenMessage, ...] | None = None
    """All that the model is told, where the client keeps the conversation itself."""
    room: int = 4_000
    """Characters that the model can be told, about."""
    asked_by: str = ""
    """The principal, its own or a guest; empty on an open server, where nobody vouches for a name."""
    session: str = ""
    traceparent: str = ""
    """The caller's span, whose trace the turn continues."""
    tells_result: bool = False
    """See `Question`."""
    whole_sentences: bool = False
    """An answer that the length limit cuts ends at its last whole sentence."""
    marks: tuple[Mark, ...] = ()
    """Of a text in SSML, and of parts that other voices speak."""
    earlier: EarlierReading | None = None
    """Of the same text, whose sound the turn has where it speaks nothing again."""
    progress: TurnCheckpoint | None = None
    """Work that an owner before this one left; None: no owner has begun."""


class Turn:
    """Runs one turn. Every command may come at any time, also before `run` and after its end."""

    def __init__(
        self,
        plan: TurnPlan,
        writer: SessionWriter,
        models: Engines,
        clock: Clock,
        *,
        sentences_ahead: int,
        priority: FirstAudioPriority | None = None,
    ) -> None:
        self._spoken = spoken_languages(models.speaker.providers)
        language = usual_language(plan.settings.language, plan.text, self._spoken)
        plan = replace(plan, settings=plan.settings.model_copy(update={"language": language}))
        self.plan = plan
        self._writer = writer
        self._models = models
        self._clock = clock
        self._progress = plan.progress or TurnCheckpoint()
        self._synthesizer = SentenceSynthesizer(
            models.speaker,
            plan.settings,
            self.record,
            clock,
            ahead=sentences_ahead,
            progress=self._progress,
            priority=priority,
        )
        self._buffer = SentenceBuffer(
            plan.settings.sentences, plan.settings.language, being_written=plan.kind == "prompt"
        )
        self._reading = Reading(
            dictionary_of(plan.settings.pronunciations), plan.settings.emoji == "named", plan.marks
        )
        places = {place for both in plan.earlier.kept for place in both} if plan.earlier else set()
        self._cuts = sorted(places.union(cuts_of(plan.marks, plan.text)))
        self._pushed = 0
        """Characters of the text that have reached the buffer."""
        self._scope = anyio.CancelScope()
        self._stopped: StopReason | None = None
        self._failure: RhapsodeError | None = None
        self._shown = len(self._progress.text)
        self._sentences = len(self._progress.sentences)
        self.whole = self._synthesizer.whole
        """Nothing is shown or heard before all of it is there."""
        self.skip = self._synthesizer.skip
        self.pause = self._synthesizer.pause
        self.resume = self._synthesizer.resume
        self.stop_synthesis = self._synthesizer.stop_synthesis

    def stop(self, reason: StopReason) -> None:
        """End the turn now; what is in the log stays."""
        if self._stopped is None:
            self._stopped = reason
            self._scope.cancel()

    async def run(self, *, epoch: int, node: str = "") -> None:
        """Return when the terminal event is in the log.

        Raises what the writer raises when this owner may no longer write; then there is no
        terminal event of ours, and the next owner sees to it.
        """
        outcome: Event | None = None
        with recording_turn(self.plan, epoch=epoch, node=node) as span:
            with self._scope:
                await self.record(self._opening_event(epoch, node))
                outcome = await self._perform()
            if outcome is None:
                outcome = TurnStopped(reason=self._stopped or "user")
            span.ending(outcome)
            await self._writer.commit(outcome, turn=self.plan.turn)
            span.recorded()

    def _opening_event(self, epoch: int, node: str) -> Event:
        if self.plan.progress is None:
            return TurnStarted(epoch=epoch, node=node)
        return TurnResumed(epoch=epoch, node=node, chars=self._shown, sentences=self._progress.spoken)

    async def _perform(self) -> Event:
        """Do the work and say how it ended."""
        try:
            await self._write_and_speak()
        except ExceptionGroup as group:
            if self._writer.failed is not None:
                raise self._writer.failed from group
            log.exception("turn %d failed unexpectedly", self.plan.turn)
            return TurnFailed(stage="owner", code="internal", message="the turn failed unexpectedly")
        if (why := self._failure) is not None:
            return TurnFailed(stage="text", code=why.code, message=str(why), retryable=why.retryable)
        first = self._synthesizer.first_audio_at_ms
        return TurnCompleted(
            sentences=self._sentences,
            audio_ms=self._synthesizer.audio_ms,
            ttfa_ms=None if first is None else max(0.0, first - self.plan.requested_ms),
        )

    async def _write_and_speak(self) -> None:
        queue_in, queue_out = anyio.create_memory_object_stream[SentenceSynthesis](WAITING_SENTENCES)
        async with queue_out, anyio.create_task_group() as stages:
            stages.start_soon(self._synthesizer.speak, queue_out)
            async with queue_in:
                await self._catch_up(queue_in)
                if self._progress.text_whole:
                    await self._cut(self._buffer.flush(), queue_in)
                elif self.plan.kind == "prompt":
                    await self._answer(queue_in)
                else:
                    await self._read_out(queue_in)

    async def _catch_up(self, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Speak what an owner before us has cut and not spoken; cut what it has only written."""
        settings = self.plan.settings
        for sentence in self._progress.open:
            if sentence.whole:
                await self.record(
                    SentenceCompleted(sentence=sentence.number, at_ms=sentence.at_ms, ms=sentence.ms)
                )
                continue
            text = self._progress.text[sentence.start : sentence.end]
            language = sentence_language(text, settings.language, self._spoken)
            reading = self._reading.within(sentence.start, sentence.end)
            spoken = to_spoken(text, language, reading=reading)
            if spoken.text != sentence.spoken:  # part of a block of code, or cut by other rules
                spoken = plainly(sentence.spoken, len(text))
            remainder = ResumedSentence.of(sentence) if sentence.chunks else None
            await queue.send(
                self._synthesis(sentence.number, sentence.start, text, spoken, language, remainder)
            )
        begin = 0
        for end in (*self._progress.rests, len(self._progress.text)) if settings.speak else ():
            for piece in _pieces(self._progress.text[begin:end]):
                await self._push(piece, queue)
                await anyio.lowlevel.checkpoint()  # a chapter takes a quarter of a second
            if end in self._progress.rests:
                await self._cut(self._buffer.flush(), queue)
            begin = end

    async def _answer(self, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Let the language model write; on its failure the text so far is still spoken."""
        plan = self.plan
        question = Question(
            *(plan.text, plan.settings, plan.history, plan.given, plan.room, plan.session, plan.turn),
            asked_by=plan.asked_by,
            tells_result=plan.tells_result,
        )
        sink = _TurnSink(self, queue)
        answer = Generation(question, self._models, sink, self._clock, self._progress)
        try:
            await answer.write()
        except RhapsodeError as error:
            if self._writer.failed is not None:
                raise
            self._failure = error
        await sink.release()
        cut_short = plan.whole_sentences and self._failure is None and answer.cut_short
        if cut_short and not plan.settings.speak:
            await self._feed(answer.text, None)
        fragments = self._buffer.flush(cut_short=cut_short)
        if plan.settings.speak:
            await self._cut(fragments, queue)
        if self._failure is None:
            await answer.complete(self._buffer.end if cut_short else None)

    async def _read_out(self, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Show a given text at once, then cut it as fast as the voice takes it."""
        text = self.plan.text
        begun = self._shown
        for number, piece in enumerate(pieces := _pieces(text[begun:])):
            await self.record(TextDelta(at=begun + number * VERBATIM_PIECE, text=piece))
        await self.record(TextCompleted(chars=len(text), finish="verbatim"))
        if not self.plan.settings.speak:
            return
        for piece in pieces:
            await self._push(piece, queue)
            await anyio.lowlevel.checkpoint()
        await self._cut(self._buffer.flush(), queue)

    async def _push(self, text: str, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Cuts text that follows what was pushed before, at the marks of SSML and where sentences end."""
        end = self._pushed + len(text)
        for cut in [cut for cut in self._cuts if self._pushed < cut <= end]:
            await self._feed(text[: cut - self._pushed], queue)
            await self._cut(self._buffer.flush(), queue)
            text, self._pushed = text[cut - self._pushed :], cut
        await self._feed(text, queue)
        self._pushed = end

    async def _feed(self, text: str, queue: MemoryObjectSendStream[SentenceSynthesis] | None) -> None:
        """Lets others have their turn: a text of nothing but marks is cut for seconds, and says nothing.

        Without a queue nothing is spoken, and the text is cut only to know where its last sentence ends.
        """
        slice_ = TimeSlice()
        for at in range(0, len(text), CUT_PIECE):
            fragments = self._buffer.push(text[at : at + CUT_PIECE])
            if queue is not None:
                await self._cut(fragments, queue)
            await slice_.pause_if_over()

    async def settle(self) -> None:
        """Return when everything recorded so far is in the log."""
        await self._writer.drain()

    async def flush_sentence(self, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Speaks the shown text to its end, although more will follow."""
        if self.plan.settings.speak:
            await self._cut(self._buffer.flush(), queue)

    async def speak_aside(self, text: str, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        """Say something between two sentences that is not shown; where hundreds wait already, don't."""
        if not self.plan.settings.speak or queue.statistics().current_buffer_used >= WAITING_SENTENCES:
            return
        number = self._sentences
        self._sentences += 1
        # Without a pause between the two: a sentence that is in the log is on its way to the voice.
        queue.send_nowait(SentenceSynthesis(number, self._shown, plainly(text, 0)))
        await self.record(SentenceReady(sentence=number, start=self._shown, end=self._shown, spoken=text))

    async def emit_text(self, text: str, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        for piece in _pieces(text):
            await self.record(TextDelta(at=self._shown, text=piece))
            self._shown += len(piece)
            if self.plan.settings.speak:
                await self._push(piece, queue)

    async def _cut(self, fragments: list[Fragment], queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        for fragment in filter(None, map(self._progress.remaining, fragments)):
            language = sentence_language(fragment.text, self.plan.settings.language, self._spoken)
            reading = self._reading.within(fragment.start, fragment.end)
            spoken = to_spoken(fragment.text, language, code=fragment.code, reading=reading)
            number = self._sentences
            self._sentences += 1
            await self.record(
                SentenceReady(sentence=number, start=fragment.start, end=fragment.end, spoken=spoken.text)
            )
            if spoken.text:
                await queue.send(self._synthesis(number, fragment.start, fragment.text, spoken, language))

    def _synthesis(
        self,
        number: int,
        start: int,
        text: str,
        spoken: SpokenText,
        language: str,
        remainder: ResumedSentence | None = None,
    ) -> SentenceSynthesis:
        manner = manner_of(text, start, self.plan.settings.pauses, self.plan.marks)
        earlier, place = self.plan.earlier, (number, start, spoken, remainder)
        if earlier is None or (kept := earlier.kept.get((start, start + len(text)))) is None:
            return SentenceSynthesis(*place, language=language, manner=manner)
        return KeptSentence(earlier, kept, *place, language=language, manner=manner)

    async def record(self, event: Event, *, audio: bytes = b"") -> None:
        lingers = self._synthesizer.is_ahead
        await self._writer.record(event, turn=self.plan.turn, audio=audio, lingers=lingers)


class _TurnSink:
    """Sink of a turn's answer: the log, and the way to the voice."""

    def __init__(self, turn: Turn, queue: MemoryObjectSendStream[SentenceSynthesis]) -> None:
        self._turn = turn
        self._queue = queue
        self._withheld: list[str] = []

    async def record(self, event: Event) -> None:
        await self._turn.record(event)

    async def settle(self) -> None:
        await self._turn.settle()

    async def emit_text(self, text: str) -> None:
        if self._turn.whole:
            self._withheld.append(text)
        else:
            await self._turn.emit_text(text, self._queue)

    async def flush_sentence(self) -> None:
        await self._turn.flush_sentence(self._queue)

    async def speak_aside(self, text: str) -> None:
        if not self._turn.whole:
            await self._turn.speak_aside(text, self._queue)

    async def release(self) -> None:
        """Show what was held back until all of it was there."""
        await self._turn.emit_text("".join(self._withheld), self._queue)


def _pieces(text: str) -> list[str]:
    return [text[at : at + VERBATIM_PIECE] for at in range(0, len(text), VERBATIM_PIECE)]


class TurnSpan:
    """The span of the turn that runs here, or nothing."""

    def __init__(self, made: Span | None) -> None:
        self._span = made
        self._commit_began = 0.0

    def ending(self, outcome: Event) -> None:
        """It is over; what is left is to record that."""
        if self._span is None:
            return
        self._commit_began = time.monotonic()
        self._span.set_attributes(_outcome_attributes(outcome))
        if isinstance(outcome, TurnFailed):
            fail(self._span, outcome.code)

    def recorded(self) -> None:
        """Everything that was said of it is in the log."""
        if self._span is not None:
            took = round((time.monotonic() - self._commit_began) * 1_000, 1)
            self._span.add_event(span_names.RECORDED, {span_names.COMMIT_MS: took})


@contextmanager
def recording_turn(plan: TurnPlan, *, epoch: int, node: str) -> Iterator[TurnSpan]:
    """Everything in the block is a part of this turn."""
    session, turn, resumed = plan.session, plan.turn, plan.progress is not None
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_TURN,
        span_names.CONVERSATION: session,
        span_names.TURN_NUMBER: turn,
        span_names.TURN_KIND: plan.kind,
        span_names.EPOCH: epoch,
        span_names.NODE: node,
        span_names.RESUMED: resumed,
    }
    trace = TurnTrace.of(session, turn, plan.traceparent)
    with turn_span(trace, attributes, epoch=epoch, resumed=resumed, since_ms=plan.requested_ms) as made:
        if made is not None:
            waited = 0 if resumed else max(0, time.time_ns() // 1_000_000 - plan.requested_ms)
            made.add_event(span_names.BEGUN, {span_names.WAIT_MS: waited})
        yield TurnSpan(made)


def _outcome_attributes(outcome: Event) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {span_names.TURN_OUTCOME: outcome.type}
    if isinstance(outcome, TurnCompleted):
        attributes |= {span_names.SENTENCES: outcome.sentences, span_names.AUDIO_MS: outcome.audio_ms}
        if outcome.ttfa_ms is not None:
            attributes[span_names.TTFA_MS] = outcome.ttfa_ms
    elif isinstance(outcome, TurnStopped):
        attributes[span_names.STOP_REASON] = outcome.reason
    return attributes
