"""Effect that calls asynchronous functions, and has their results told in a turn of their own."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pipeline.background.worker_ports import Change, Pointer, cause_key
from pipeline.core.clock import Clock
from pipeline.core.surrogates import joined
from pipeline.eventlog.recorder import Recorder, RequestContext
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import SessionViews
from pipeline.session_state.turn_state import CallState, TurnState
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolRegistry
from schemas.errors import SessionAlreadyEnded, SessionFull, SessionGone, SessionNotFound
from schemas.errors.tool_errors import ToolError
from schemas.events import PlaybackPaused, ToolCompleted, ToolFailed, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import SessionId

_MESSAGE_CHARS: Final = 2_000
_TOLD_CHARS: Final = 200
"""Of the arguments, in the turn that tells the result."""


class ToolResults:
    """A function was started: it is called here; its result and the turn that tells it are recorded together.

    A worker that dies is followed by another, which calls again under the same `Idempotency-Key`; the log
    takes one result.
    """

    name = "tool_results"
    types = frozenset({"tool.started"})

    def __init__(
        self, views: SessionViews, functions: ToolRegistry, recorder: Recorder, clock: Clock
    ) -> None:
        self._views = views
        self._functions = functions
        self._recorder = recorder
        self._clock = clock

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        with suppress(SessionGone, SessionNotFound, SessionAlreadyEnded, SessionFull):  # nobody is to be told
            conversation, _ = await self._views.get(pointer.session)
            turn = conversation.turns.get(event.turn)
            call = None if turn is None else turn.calls.get(event.data["call"])
            if turn is None or call is None or call.returned or conversation.ending or conversation.ended:
                return None
            result = await self._called(pointer.session, conversation, turn, call)
            now, _ = await self._views.get(pointer.session)
            told = TurnRequested(
                kind="prompt",
                text=_told(call, result),
                settings=now.settings,
                by=turn.by,
                result_of=turn.turn,
            )
            # A requested turn ends a pause; nobody has asked for this one, so the pause goes on.
            held = () if now.paused_by is None else (PlaybackPaused(by=now.paused_by),)
            events = RequestContext(turn.turn, result), told, *held
            await self._recorder.post(pointer.session, *events, key=cause_key(self.name, pointer))
        return None

    async def _called(
        self, session: SessionId, conversation: Conversation, turn: TurnState, call: CallState
    ) -> ToolCompleted | ToolFailed:
        asked_by = (turn.by or conversation.principal) if conversation.principal else ""
        about = ToolCallContext(session, turn.turn, pseudonym(asked_by))
        began_s = self._clock.monotonic()

        def ms() -> float:
            return round((self._clock.monotonic() - began_s) * 1_000, 1)

        try:
            await self._functions.ready([call.name])
            made = await self._functions.call(call.name, call.call, call.arguments, about)
        except ToolError as error:
            message = joined(str(error)[:_MESSAGE_CHARS])
            return ToolFailed(call=call.call, code=error.code, message=message, ms=ms())
        return ToolCompleted(call=call.call, output=made.output, ms=ms(), cut=made.cut)


def _told(call: CallState, result: ToolCompleted | ToolFailed) -> str:
    """The question of the turn that tells a result."""
    arguments = call.arguments if len(call.arguments) <= _TOLD_CHARS else "…"
    if isinstance(result, ToolFailed):
        return f"The function {call.name}({arguments}) has failed. Tell me: {result.message}"
    return f"The function {call.name}({arguments}) has returned its result. Tell me: {result.output}"
