"""The calls of one answer: noted in the log, made here or left to the client."""

import re
from collections.abc import Sequence
from typing import Final

import anyio

from pipeline.core.surrogates import joined
from pipeline.engines.ports import ToolCall
from pipeline.observability import span_names as names
from pipeline.observability.trace_context import fail, shows_content, span
from pipeline.session_state.turn_state import CallState
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.turn.answer_sink import AnswerSink, Question
from schemas.errors.tool_errors import ToolArguments, ToolError, ToolTooMany, ToolUnknown
from schemas.events.answer_events import ToolCalled, ToolCompleted, ToolFailed
from schemas.settings.model_settings import ARGUMENT_CHARS

_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")
_NAME_CHARS: Final = 64
_MESSAGE_CHARS: Final = 2_000
_MOST: Final = 16
"""Calls of one round where this server calls nothing itself."""


class ToolCallStep:
    """Carries out what a model wants called. A function that fails ends nothing: the model is told."""

    def __init__(self, question: Question, registry: ToolRegistry | None, sink: AnswerSink) -> None:
        self._question = question
        self._registry = registry
        self._sink = sink
        self._registered = frozenset(question.settings.tools.registered)
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
        if ours:
            await self._sink.settle()  # should we die now, the next owner knows what was called, by its name
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._fill_in, [call.name for call in ours])
                await self._all(ours)
                beside.cancel_scope.cancel()
        return any(call.place == "client" and not call.over for call in calls)

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
