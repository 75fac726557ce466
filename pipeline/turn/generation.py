"""One answer of the language model: what it is told, what it writes, and the calls that it wants made."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

import anyio
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.core.clock import Clock
from pipeline.core.texts import joined
from pipeline.engines.ports import (
    ChatRequest,
    Completion,
    Function,
    LanguageModel,
    Message,
    Speaker,
    ToolCall,
    is_ours,
)
from pipeline.observability import span_names
from pipeline.observability import span_names as names
from pipeline.observability.tracer import CURRENT_CONTEXT, fail, shows_content, span
from pipeline.rag.citations import supports
from pipeline.session_state.turn_state import CallState
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.tts.turn_checkpoint import TurnCheckpoint
from pipeline.turn.retrieval_step import Retriever, passages_message, retrieve
from schemas.errors import EngineDead, ToolArguments, ToolError, ToolTooMany, ToolUnknown
from schemas.events import Event, TextCompleted
from schemas.events.answer_events import (
    AnswerCited,
    PassagesFound,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from schemas.settings import SessionSettings
from schemas.settings.model_settings import ARGUMENT_CHARS, GivenMessage
from schemas.settings.provider_settings import LOCAL
from schemas.settings.retrieval_settings import NumberedPassage


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the conversation before it."""

    text: str
    settings: SessionSettings
    history: tuple[Message, ...] = ()
    given: tuple[GivenMessage, ...] | None = None
    """All that the model is told, where the client keeps the conversation itself."""
    room: int = 4_000
    """Characters that the model can be told, about."""
    session: str = ""
    turn: int = 0
    asked_by: str = ""
    """The principal; empty on an open server."""
    tells_result: bool = False
    """Of an asynchronous function; others are waited for, so that no chain of turns asks for itself."""


class AnswerSink(Protocol):
    """Sink of an answer's text, events and speech."""

    async def record(self, event: Event) -> None: ...

    async def settle(self) -> None:
        """Return when everything recorded so far is in the log."""

    async def emit_text(self, text: str) -> None:
        """The text goes on."""

    async def flush_sentence(self) -> None:
        """The text pauses here: what was shown can be spoken to its end."""

    async def speak_aside(self, text: str) -> None:
        """Say something that is no part of the text."""


_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")
_NAME_CHARS: Final = 64
_MESSAGE_CHARS: Final = 2_000
_MOST: Final = 16
"""Calls of one round where this server calls nothing itself."""


def _registered(question: Question, registry: ToolRegistry | None) -> tuple[str, ...]:
    """Functions of this server that the question's settings name and its principal may use."""
    names = question.settings.tools.registered
    if registry is None or not names:
        return names
    return registry.allowed(names, pseudonym(question.asked_by))


class ToolCallStep:
    """Carries out what a model wants called. A function that fails ends nothing: the model is told."""

    def __init__(self, question: Question, registry: ToolRegistry | None, sink: AnswerSink) -> None:
        self._question = question
        self._registry = registry
        self._sink = sink
        self._registered = frozenset(_registered(question, registry))
        self._clients = frozenset(one.name for one in question.settings.tools.functions)
        self._most = _MOST if registry is None else registry.settings.calls

    async def note(
        self, requested: Sequence[ToolCall], before: Sequence[CallState], *, at: int
    ) -> list[CallState]:
        """Record what is to be called; what cannot be is over at once."""
        number = 1 + max((call.round for call in before), default=-1)
        taken = {call.call for call in before}
        noted: list[CallState] = []
        for place, request in enumerate(requested):
            name = request.id
            if not _ID.fullmatch(name) or name in taken:
                name = f"call_{number}_{place}"
            taken.add(name)
            theirs = request.name in self._clients and request.name not in self._registered
            call = CallState(
                call=name,
                name=joined(request.name[:_NAME_CHARS]),
                arguments=joined(request.arguments[:ARGUMENT_CHARS]),
                place="client" if theirs else "server",
                round=number,
                at=at,
            )
            error = self._refused(request, place)
            if error is not None:
                call.place = "server"
            await self._sink.record(
                ToolCalled(
                    call=call.call,
                    name=call.name,
                    arguments=call.arguments,
                    place=call.place,
                    round=number,
                    at=at,
                )
            )
            if error is not None:
                await self._fail(call, error, 0.0)
            noted.append(call)
        return noted

    def _refused(self, request: ToolCall, place: int) -> ToolError | None:
        if place >= self._most:
            return ToolTooMany(f"this call was not made: {self._most} at once are enough")
        if len(request.arguments) > ARGUMENT_CHARS:
            return ToolArguments(f"the arguments are longer than {ARGUMENT_CHARS} characters")
        if request.name not in self._clients | self._registered:
            known = ", ".join(sorted(self._clients | self._registered)) or "none"
            return ToolUnknown(f"there is no function {request.name[:_NAME_CHARS]!r}; there is: {known}")
        return None

    async def carry_out(self, calls: Sequence[CallState]) -> bool:
        """Make the calls that are to be made here. True: the client has to make others first."""
        ours = [call for call in calls if call.place == "server" and not call.over]
        for call in ours:
            if self._starts(call):
                await self._start(call)
        ours = [call for call in ours if not call.over]
        if ours:
            await self._sink.settle()  # should we die now, the next owner knows what was called, by its name
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._fill_in, [call.name for call in ours])
                await self._all(ours)
                beside.cancel_scope.cancel()
        return any(call.place == "client" and not call.over for call in calls)

    def _starts(self, call: CallState) -> bool:
        if self._registry is None or self._question.tells_result or self._question.given is not None:
            return False
        return call.name in self._registered and self._registry.asynchronous(call.name)

    async def _start(self, call: CallState) -> None:
        """Record that an asynchronous function is called: a worker calls it then. Not where too many are."""
        assert self._registry is not None
        try:
            await self._registry.admit(self._question.asked_by)
        except ToolTooMany as error:
            await self._fail(call, error, 0.0)
            return
        await self._sink.record(ToolStarted(call=call.call))
        call.started = True

    async def _all(self, calls: Sequence[CallState]) -> None:
        at_once = anyio.CapacityLimiter(1 if self._registry is None else self._registry.settings.at_once)
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(self._make, call, at_once)

    async def _make(self, call: CallState, at_once: anyio.CapacityLimiter) -> None:
        async with at_once:
            with span(
                f"{names.EXECUTE_TOOL} {call.name}",
                {
                    names.OPERATION: names.OP_TOOL,
                    names.TOOL_NAME: call.name,
                    names.TOOL_CALL: call.call,
                    names.TOOL_TYPE: names.FUNCTION,
                    names.ROUND: call.round,
                },
            ) as made:
                await self._make_here(call)
                if call.error is not None:
                    fail(made, call.error[0])
                if shows_content():
                    made.set_attribute(names.TOOL_ARGUMENTS, call.arguments)
                    made.set_attribute(names.TOOL_RESULT, call.result)

    async def _make_here(self, call: CallState) -> None:
        began = anyio.current_time()
        try:
            if self._registry is None:
                raise ToolUnknown("this server calls nothing any more")
            asked = self._question
            about = ToolCallContext(asked.session, asked.turn, pseudonym(asked.asked_by))
            result = await self._registry.call(call.name, call.call, call.arguments, about)
        except ToolError as error:
            await self._fail(call, error, _ms(began))
            return
        call.output = result.output
        await self._sink.record(
            ToolCompleted(call=call.call, output=result.output, ms=_ms(began), cut=result.cut)
        )

    async def _fail(self, call: CallState, error: ToolError, ms: float) -> None:
        message = joined(str(error)[:_MESSAGE_CHARS])
        call.error = (error.code, message)
        await self._sink.record(ToolFailed(call=call.call, code=error.code, message=message, ms=ms))

    async def _fill_in(self, names: Sequence[str]) -> None:
        """Speaks a filler phrase during tool calls; cancelled when the calls are over."""
        if self._registry is None:
            return
        filler = self._registry.filler(names, self._question.settings.language)
        if filler:
            await anyio.sleep(self._registry.settings.filler_after_ms / 1_000)
            await self._sink.speak_aside(filler)


def _ms(began: float) -> float:
    return round((anyio.current_time() - began) * 1_000, 1)


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
        if self._models.functions is not None:
            await self._models.functions.ready(_registered(self._question, self._models.functions))
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

    @property
    def text(self) -> str:
        """All that the model has written."""
        return self._text

    @property
    def cut_short(self) -> bool:
        """The model had more to say than it may."""
        return self._completion.finish == "length"

    async def complete(self, chars: int | None = None) -> None:
        """Record that the text is whole, and what it rests on. `chars`: so much of it stands; None: all."""
        self._text = self._text[:chars]
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
        offered = () if registry is None else registry.offers(_registered(self._question, registry))
        functions = (*offered, *(Function(**one.model_dump()) for one in tools.functions))
        told = self._round > 0 or self._question.tells_result
        choice = "auto" if told else tools.choice  # else it would call for ever
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
            principal=self._question.asked_by,
            **settings.sampling.model_dump(),
        )

    def _passages_message(self) -> tuple[Message, ...]:
        """Everything up to the question, with the passages for it."""
        question, settings = self._question, self._question.settings
        grounds = passages_message(self._passages, settings.language) if self._passages else ""
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


@contextmanager
def chatting(request: ChatRequest) -> Iterator["ChatSpan"]:
    """One request to the language model and its answer."""
    tracing = CURRENT_CONTEXT.get().tracing
    if tracing is None:
        yield _UNTOLD
        return
    own = tracing.model if request.provider in (None, LOCAL) else ""
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_CHAT,
        span_names.PROVIDER: request.provider or LOCAL,
        span_names.REQUEST_MAX_TOKENS: request.max_tokens,
        span_names.REQUEST_TEMPERATURE: request.temperature,
    }
    if model := request.model or own:
        attributes[span_names.REQUEST_MODEL] = model
    if shows_content():
        attributes[span_names.INPUT_MESSAGES] = _message_attributes(
            (m.role, m.content) for m in request.messages
        )
    name = f"{span_names.CHAT} {request.model}" if request.model else span_names.CHAT
    with span(name, attributes, kind=SpanKind.CLIENT) as made:
        yield ChatSpan(made, tracing.model)


class ChatSpan:
    """The span of a request to the language model, or nothing."""

    def __init__(self, made: Span | None, own: str = "") -> None:
        """`own`: the name of this server's model, which says none of itself."""
        self._span = made
        self._own = own
        self._began = time.monotonic()
        self._first = True

    def first(self) -> None:
        """The answer begins. Called for every delta: only the first counts."""
        if self._span is not None and self._first:
            self._first = False
            self._span.add_event(span_names.FIRST_DELTA)
            self._span.set_attribute(span_names.TIME_TO_FIRST_CHUNK, round(time.monotonic() - self._began, 4))

    def completed(self, completion: Completion, text: str) -> None:
        if self._span is None:
            return
        attributes: dict[str, AttributeValue] = {
            span_names.FINISH_REASONS: [completion.finish],
            span_names.INPUT_TOKENS: completion.tokens_in,
            span_names.OUTPUT_TOKENS: completion.tokens_out,
        }
        if completion.provider:
            attributes[span_names.PROVIDER] = completion.provider
        here = completion.provider in (None, "", LOCAL)
        if model := completion.model or (self._own if here else ""):
            attributes[span_names.RESPONSE_MODEL] = model
        if shows_content():
            attributes[span_names.OUTPUT_MESSAGES] = _message_attributes([("assistant", text)])
        self._span.set_attributes(attributes)


_UNTOLD = ChatSpan(None)


def _message_attributes(said: Iterable[tuple[str, str]]) -> str:
    """As the conventions write messages."""
    attributes = [{"role": role, "parts": [{"type": "text", "content": content}]} for role, content in said]
    return json.dumps(attributes, ensure_ascii=False)
