"""One turn: from a request to its one terminal fact, text and speech side by side."""

import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from pipeline.clock import Clock
from pipeline.engines.base import ChatRequest, Completion, LanguageModel, Message, Speaker, ToolCall
from pipeline.log.recorder import SessionWriter
from pipeline.resuming import Progress, Remainder
from pipeline.sentences import Fragment, SentenceBuffer
from pipeline.speech import Line, Narrator
from pipeline.spoken import plainly, to_spoken
from schemas.chat import GivenMessage
from schemas.errors import RhapsodeError
from schemas.events import (
    Fact,
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

log = logging.getLogger(__name__)

VERBATIM_PIECE = 8_000
"""Characters of text in one delta, at most: well below the log's limit for a fact."""
_CHARS_PER_TOKEN = 4
"""About; an answer that is gone on with has spent that much of its `max_tokens`."""
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
    progress: Progress | None = None
    """What an owner before us has made of it; None: nobody has begun."""


@dataclass(frozen=True, slots=True)
class Models:
    """The engines a turn works with, local or remote."""

    language_model: LanguageModel
    speaker: Speaker


class Turn:
    """Runs one turn. Every command may come at any time, also before `run` and after its end."""

    def __init__(
        self, plan: TurnPlan, writer: SessionWriter, models: Models, clock: Clock, *, sentences_ahead: int
    ) -> None:
        self.plan = plan
        self._writer = writer
        self._language_model = models.language_model
        self._clock = clock
        self._progress = plan.progress or Progress()
        self._narrator = Narrator(
            models.speaker,
            plan.settings,
            self._record,
            clock,
            ahead=sentences_ahead,
            progress=self._progress,
            whole=plan.settings.listening.mode == "legacy",
        )
        self._buffer = SentenceBuffer(plan.settings.sentences, plan.settings.language)
        self._scope = anyio.CancelScope()
        self._stopped: StopReason | None = None
        self._failure: RhapsodeError | None = None
        self._shown = len(self._progress.text)
        self._sentences = len(self._progress.sentences)
        self.skip = self._narrator.skip
        self.pause = self._narrator.pause
        self.resume = self._narrator.resume

    def stop(self, reason: StopReason) -> None:
        """End the turn now; what is in the log stays."""
        if self._stopped is None:
            self._stopped = reason
            self._scope.cancel()

    async def run(self, *, epoch: int, node: str = "") -> None:
        """Return when the terminal fact is in the log.

        Raises what the writer raises when this owner may no longer write; then there is no
        terminal fact of ours, and the next owner sees to it.
        """
        outcome: Fact | None = None
        with self._scope:
            await self._record(self._opening_fact(epoch, node))
            outcome = await self._perform()
        if outcome is None:
            outcome = TurnStopped(reason=self._stopped or "user")
        await self._writer.commit(outcome, turn=self.plan.turn)

    def _opening_fact(self, epoch: int, node: str) -> Fact:
        if self.plan.progress is None:
            return TurnStarted(epoch=epoch, node=node)
        return TurnResumed(epoch=epoch, node=node, chars=self._shown, sentences=self._progress.spoken)

    async def _perform(self) -> Fact:
        """Do the work and say how it ended."""
        try:
            await self._write_and_speak()
        except ExceptionGroup as group:
            if self._writer.failed is not None:
                raise self._writer.failed from group
            log.exception("turn %d failed unexpectedly", self.plan.turn)
            return TurnFailed(stage="owner", code="internal", message=repr(group.exceptions[0]))
        if (failure := self._failure) is not None:
            return TurnFailed(
                stage="text", code=failure.code, message=str(failure), retryable=failure.retryable
            )
        first = self._narrator.first_audio_at_ms
        return TurnCompleted(
            sentences=self._sentences,
            audio_ms=self._narrator.audio_ms,
            ttfa_ms=None if first is None else max(0.0, first - self.plan.requested_ms),
        )

    async def _write_and_speak(self) -> None:
        lines_in, lines_out = anyio.create_memory_object_stream[Line](WAITING_SENTENCES)
        async with lines_out, anyio.create_task_group() as stages:
            stages.start_soon(self._narrator.speak, lines_out)
            async with lines_in:
                await self._catch_up(lines_in)
                if self._progress.text_whole:
                    await self._cut(self._buffer.flush(), lines_in)
                elif self.plan.kind == "prompt":
                    await self._answer(lines_in)
                else:
                    await self._read_out(lines_in)

    async def _catch_up(self, lines: MemoryObjectSendStream[Line]) -> None:
        """Speak what an owner before us has cut and not spoken; cut what it has only written."""
        settings = self.plan.settings
        for sentence in self._progress.open:
            if sentence.whole:
                await self._record(
                    SentenceCompleted(sentence=sentence.number, at_ms=sentence.at_ms, ms=sentence.ms)
                )
                continue
            text = self._progress.text[sentence.start : sentence.end]
            spoken = to_spoken(text, settings.language)
            if spoken.text != sentence.spoken:  # part of a block of code, or cut by other rules
                spoken = plainly(sentence.spoken, len(text))
            remainder = Remainder.of(sentence) if sentence.chunks else None
            await lines.send(Line(sentence.number, sentence.start, spoken, remainder))
        for piece in _pieces(self._progress.text) if settings.speak else ():
            await self._cut(self._buffer.push(piece), lines)
            await anyio.lowlevel.checkpoint()  # a chapter takes a quarter of a second

    async def _answer(self, lines: MemoryObjectSendStream[Line]) -> None:
        """Let the language model write; on its failure the text so far is still spoken."""
        request = self._chat_request()
        called_at, ttft_ms = self._clock.monotonic(), None
        completion = Completion("stop")
        withheld: list[str] = []
        try:
            async with aclosing(self._language_model.stream(request)) as items:
                async for item in items:
                    if isinstance(item, Completion):
                        completion = item
                        continue
                    if isinstance(item, ToolCall):
                        continue
                    ttft_ms = ttft_ms or round((self._clock.monotonic() - called_at) * 1_000, 1)
                    if self._narrator.whole:
                        withheld.append(item)
                    else:
                        await self._show(item, lines)
        except RhapsodeError as error:
            if self._writer.failed is not None:
                raise
            self._failure = error
        await self._show("".join(withheld), lines)
        await self._cut(self._buffer.flush(), lines)
        if self._failure is None:
            await self._record(
                TextCompleted(
                    chars=self._shown,
                    finish=completion.finish,
                    tokens_in=completion.tokens_in,
                    tokens_out=completion.tokens_out,
                    ttft_ms=ttft_ms,
                    provider=completion.provider,
                    model=completion.model,
                )
            )

    def _chat_request(self) -> ChatRequest:
        """The question; where an owner before us has begun to answer, the answer to go on with."""
        settings, said = self.plan.settings, self._progress.text
        begun = (Message("assistant", said),) if said else ()
        return ChatRequest(
            messages=(*self._told(), *begun),
            max_tokens=max(1, settings.max_tokens - len(said) // _CHARS_PER_TOKEN),
            temperature=settings.temperature,
            provider=settings.llm_provider,
            model=settings.llm_model,
            **settings.sampling.model_dump(),
        )

    def _told(self) -> tuple[Message, ...]:
        """Everything up to the question."""
        if self.plan.given is not None:
            return tuple(message_of(one) for one in self.plan.given)
        system = Message("system", self.plan.settings.system_prompt)
        return system, *self.plan.history, Message("user", self.plan.text)

    async def _read_out(self, lines: MemoryObjectSendStream[Line]) -> None:
        """Show a given text at once, then cut it as fast as the voice takes it."""
        text = self.plan.text
        begun = self._shown
        pieces = _pieces(text[begun:])
        for number, piece in enumerate(pieces):
            await self._record(TextDelta(at=begun + number * VERBATIM_PIECE, text=piece))
        await self._record(TextCompleted(chars=len(text), finish="verbatim"))
        if not self.plan.settings.speak:
            return
        for piece in pieces:
            await self._cut(self._buffer.push(piece), lines)
        await self._cut(self._buffer.flush(), lines)

    async def _show(self, text: str, lines: MemoryObjectSendStream[Line]) -> None:
        for piece in _pieces(text):
            await self._record(TextDelta(at=self._shown, text=piece))
            self._shown += len(piece)
            if self.plan.settings.speak:
                await self._cut(self._buffer.push(piece), lines)

    async def _cut(self, fragments: list[Fragment], lines: MemoryObjectSendStream[Line]) -> None:
        for fragment in filter(None, map(self._progress.remaining, fragments)):
            spoken = to_spoken(fragment.text, self.plan.settings.language, code=fragment.code)
            number = self._sentences
            self._sentences += 1
            await self._record(
                SentenceReady(sentence=number, start=fragment.start, end=fragment.end, spoken=spoken.text)
            )
            if spoken.text:
                await lines.send(Line(number, fragment.start, spoken))

    async def _record(self, fact: Fact, *, audio: bytes = b"") -> None:
        await self._writer.record(fact, turn=self.plan.turn, audio=audio)


def message_of(given: GivenMessage) -> Message:
    calls = tuple(ToolCall(one.call, one.name, one.arguments) for one in given.calls)
    return Message(given.role, given.content, calls, given.call)


def _pieces(text: str) -> list[str]:
    return [text[at : at + VERBATIM_PIECE] for at in range(0, len(text), VERBATIM_PIECE)]
