"""One answer of the language model: what it is told, what it writes, and what it wants called meanwhile."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from pipeline.core.clock import Clock
from pipeline.engines.ports import (
    ChatRequest,
    Completion,
    Function,
    LanguageModel,
    Message,
    Speaker,
    ToolCall,
)
from pipeline.rag.citation_support import supports
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.tts.turn_checkpoint import TurnCheckpoint
from pipeline.turn.answer_sink import AnswerSink, Question
from pipeline.turn.retrieval_step import Retriever, passages_message, retrieve
from pipeline.turn.tool_call_step import ToolCallStep
from pipeline.turn.turn_span import chatting
from schemas.errors import EngineDead
from schemas.events import TextCompleted
from schemas.events.answer_events import AnswerCited, PassagesFound
from schemas.settings.model_settings import GivenMessage
from schemas.settings.provider_settings import is_ours
from schemas.settings.retrieval_settings import NumberedPassage

log = logging.getLogger(__name__)
_ROUNDS: Final = 4
"""Of calls, where this server calls nothing itself."""
_DEATHS: Final = 3
"""So many replicas may die in one answer; then the question may be what kills them."""
_UNNOTICED_S: Final = 0.2
"""A dead replica may be asked again before Serve has noticed."""
_CHARS_PER_TOKEN: Final = 4
"""About; an answer that is gone on with has spent that much of its `max_tokens`."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines a turn works with, local or remote."""

    language_model: LanguageModel
    speaker: Speaker
    finder: Retriever | None = None
    """None: nothing can be looked up here."""
    functions: ToolRegistry | None = None
    """None: this server calls nothing."""


class Generation:
    """Writes one answer onto a stage, or the rest of one that an owner before us began."""

    def __init__(
        self, question: Question, models: Engines, sink: AnswerSink, clock: Clock, progress: TurnCheckpoint
    ) -> None:
        self._question = question
        self._models = models
        self._sink = sink
        self._clock = clock
        self._text = progress.text
        # Of an answer that is shown as a whole nothing may be in the log yet.
        self._calls = [replace(call, at=min(call.at, len(self._text))) for call in progress.calls]
        self._looked_up = progress.looked_up
        self._passages: Sequence[NumberedPassage] = progress.passages
        self._completion = Completion("stop")
        self._ttft_ms: float | None = None

    async def write(self) -> None:
        """Return when the model has said all. Raises what it raised; what it wrote before stands."""
        await self._retrieve()
        tool_calls = ToolCallStep(self._question, self._models.functions, self._sink)
        pending = [call for call in self._calls if not call.over]
        while True:
            if pending and await tool_calls.carry_out(pending):
                self._completion = replace(self._completion, finish="tool_calls")
                return
            request, requested = await self._ask_on()
            if not requested or not request.functions or request.choice == "none":
                return  # some servers call all the same
            await self._sink.flush_sentence()
            pending = await tool_calls.note(requested, self._calls, at=len(self._text))
            self._calls += pending

    async def complete(self) -> None:
        """Record that the text is whole, and what it rests on."""
        if self._passages:
            language = self._question.settings.language
            await self._sink.record(AnswerCited(supports=supports(self._text, self._passages, language)))
        completion = self._completion
        await self._sink.record(
            TextCompleted(
                chars=len(self._text),
                finish=completion.finish,
                tokens_in=completion.tokens_in,
                tokens_out=completion.tokens_out,
                ttft_ms=self._ttft_ms,
                provider=completion.provider,
                model=completion.model,
            )
        )

    async def _retrieve(self) -> None:
        question = self._question
        if self._looked_up or not question.settings.collections:
            return
        event = await retrieve(
            self._models.finder, question.text, question.settings, self._clock, room=question.room
        )
        await self._sink.record(event)
        if isinstance(event, PassagesFound):
            self._passages = event.passages

    async def _ask_on(self) -> tuple[ChatRequest, list[ToolCall]]:
        """Let the model write; if its replica dies, the next one goes on with the text so far.

        Providers have been asked again already, and others in their place, before there was a text.
        """
        deaths, ours = 0, is_ours(self._question.settings.llm_provider)
        while True:
            request, written = self._request(), len(self._text)
            try:
                return request, await self._ask(request)
            except EngineDead:
                deaths += 1
                document = request.json_schema is not None  # half of one cannot be gone on with
                if deaths > _DEATHS or (document if self._text else not ours):
                    raise
                log.warning("the language model died in an answer; another one is asked for the rest")
                if len(self._text) == written:
                    await asyncio.sleep(_UNNOTICED_S)

    async def _ask(self, request: ChatRequest) -> list[ToolCall]:
        """Let the model write; the calls that it wants made before it goes on.

        Whoever dies after the Completion has said all: asked again, it would count the question twice.
        """
        called_at = self._clock.monotonic()
        calls: list[ToolCall] = []
        begun, over = len(self._text), False
        with chatting(request) as span:
            try:
                async with aclosing(self._models.language_model.stream(request)) as items:
                    async for item in items:
                        span.first()
                        if isinstance(item, Completion):
                            over = True
                            self._count(item)
                            span.completed(item, self._text[begun:])
                        elif isinstance(item, ToolCall):
                            calls.append(item)
                        else:
                            await self._add(item, called_at)
            except EngineDead:
                if not over:
                    raise
        return calls

    async def _add(self, text: str, called_at: float) -> None:
        if self._ttft_ms is None:
            self._ttft_ms = round((self._clock.monotonic() - called_at) * 1_000, 1)
        self._text += text
        await self._sink.emit_text(text)

    def _count(self, completion: Completion) -> None:
        before = self._completion
        self._completion = replace(
            completion,
            tokens_in=before.tokens_in + completion.tokens_in,
            tokens_out=before.tokens_out + completion.tokens_out,
        )

    @property
    def _round(self) -> int:
        return 1 + max((call.round for call in self._calls), default=-1)

    def _request(self) -> ChatRequest:
        settings = self._question.settings
        registry, tools = self._models.functions, settings.tools
        offered = () if registry is None else registry.offers(tools.registered)
        functions = (*offered, *(Function(**one.model_dump()) for one in tools.functions))
        choice = tools.choice if self._round == 0 else "auto"  # else it would call for ever
        if self._round >= (_ROUNDS if registry is None else registry.settings.rounds):
            functions, choice = (), "none"
        return ChatRequest(
            messages=(*self._passages_message(), *self._said()),
            max_tokens=max(1, settings.max_tokens - len(self._text) // _CHARS_PER_TOKEN),
            temperature=settings.temperature,
            functions=functions,
            choice=choice,
            parallel=tools.parallel,
            provider=settings.llm_provider,
            model=settings.llm_model,
            whole=self._question.given is not None,
            **settings.sampling.model_dump(),
        )

    def _passages_message(self) -> tuple[Message, ...]:
        """Everything up to the question, with the passages for it."""
        question, settings = self._question, self._question.settings
        grounds = passages_message(self._passages, settings.language)
        if question.given is not None:
            before = (Message("system", grounds),) if grounds else ()
            return (*before, *(_message(one) for one in question.given))
        system = "\n\n".join(filter(None, (settings.system_prompt, grounds)))
        return Message("system", system), *question.history, Message("user", question.text)

    def _said(self) -> list[Message]:
        """Messages of the model itself, with its tool calls and their results."""
        messages: list[Message] = []
        begin = 0
        for number in sorted({call.round for call in self._calls}):
            calls = [call for call in self._calls if call.round == number]
            requested = tuple(ToolCall(call.call, call.name, call.arguments) for call in calls)
            messages.append(Message("assistant", self._text[begin : calls[0].at], requested))
            messages += [Message("tool", call.result, call=call.call) for call in calls]
            begin = calls[0].at
        rest = self._text[begin:]
        return [*messages, Message("assistant", rest)] if rest else messages


def _message(given: GivenMessage) -> Message:
    calls = tuple(ToolCall(one.call, one.name, one.arguments) for one in given.calls)
    return Message(given.role, given.content, calls, given.call)
