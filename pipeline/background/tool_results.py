"""Effect that calls asynchronous functions, and has their results told in a turn of their own."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from pipeline.background.worker_ports import Change, Pointer, cause_key
from pipeline.core.clock import Clock
from pipeline.core.texts import joined
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.recorder import Recorder, RequestContext
from pipeline.eventlog.redis.codec import bytes_of
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import SessionViews
from pipeline.session_state.turn_state import CallState, TurnState
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolRegistry
from schemas.errors import Conflict, SessionAlreadyEnded, SessionFull, SessionGone, SessionNotFound, ToolError
from schemas.events import PlaybackPaused, ToolCompleted, ToolFailed, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.settings import SessionSettings

_MESSAGE_CHARS: Final = 2_000
_TOLD_CHARS: Final = 200
"""Of the arguments, in the turn that tells the result."""
_GIVEN_UP: Final = "the call was given up: it was tried again and again, and never came to an end"


class ToolResults:
    """A function was started: it is called here; its result and the turn that tells it are recorded together.

    A worker that dies is followed by another, which calls again under the same `Idempotency-Key`; the log
    takes one result. The turn that tells it has the settings that the question was checked with: those of an
    imported session may name anything.
    """

    name = "tool_results"
    types = frozenset({"tool.started"})

    def __init__(
        self,
        views: SessionViews,
        functions: ToolRegistry,
        recorder: Recorder,
        clock: Clock,
        owe: Callable[[str, str, int, int], Awaitable[None]],
    ) -> None:
        """`owe` is told of each turn: its principal, that of the call, and its characters and bytes."""
        self._views = views
        self._owe = owe
        self._functions = functions
        self._recorder = recorder
        self._clock = clock

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        if (found := await self._unreturned(pointer, event)) is not None:
            conversation, turn, call = found
            result = await self._called(pointer.session, conversation, turn, call)
            await self._record(pointer, turn, call, result)
        return None

    async def abandon(self, pointer: Pointer, event: Recorded) -> None:
        """The call ends with an error, which is told as its result would have been."""
        if (found := await self._unreturned(pointer, event)) is not None:
            _, turn, call = found
            given_up = ToolFailed(call=call.call, code=ToolError.code, message=_GIVEN_UP, ms=0.0)
            await self._record(pointer, turn, call, given_up)

    async def _unreturned(
        self, pointer: Pointer, event: Recorded
    ) -> tuple[Conversation, TurnState, CallState] | None:
        """The call that was started, with its turn and session; None where nobody waits for its result."""
        with suppress(SessionGone, SessionNotFound):
            conversation, _ = await self._views.get(pointer.session)
            turn = conversation.turns.get(event.turn)
            call = None if turn is None else turn.calls.get(event.data["call"])
            if turn is not None and call is not None and not call.returned:
                return None if conversation.ending or conversation.ended else (conversation, turn, call)
        return None

    async def _record(
        self, pointer: Pointer, turn: TurnState, call: CallState, result: ToolCompleted | ToolFailed
    ) -> None:
        told = TurnRequested(
            kind="prompt",
            text=_told(call, result),
            settings=await self._settings(pointer.session, turn),
            by=turn.by,
            result_of=turn.turn,
        )
        with suppress(
            SessionGone, SessionNotFound, SessionAlreadyEnded, SessionFull
        ):  # no session is left to be told
            while True:
                now, _ = await self._views.get(pointer.session)
                # A requested turn ends a pause; nobody has asked for this one, so the pause goes on. It may
                # begin or end at any moment, so the session must still be as it was seen.
                held = () if now.paused_by is None else (PlaybackPaused(by=now.paused_by),)
                events = RequestContext(turn.turn, result), told, *held
                key = cause_key(self.name, pointer)
                with suppress(Conflict):
                    outcome = await self._recorder.post(pointer.session, *events, key=key, expected=now.head)
                    break
            if outcome.verdict is Verdict.OK:
                await self._owe(now.principal, _asked_by(now, turn), told.chars, bytes_of(result, told))

    async def _settings(self, session: SessionId, turn: TurnState) -> SessionSettings:
        """Settings of the turn as it was requested: the view drops large ones when it is over."""
        [requested] = await self._views.log.read(session, Seq(turn.turn - 1), limit=1)
        return SessionSettings.model_validate(requested.data["settings"], extra="ignore")

    async def _called(
        self, session: SessionId, conversation: Conversation, turn: TurnState, call: CallState
    ) -> ToolCompleted | ToolFailed:
        about = ToolCallContext(session, turn.turn, pseudonym(_asked_by(conversation, turn)))
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


def _asked_by(conversation: Conversation, turn: TurnState) -> str:
    """The principal of the question; empty on an open server."""
    return (turn.by or conversation.principal) if conversation.principal else ""


def _told(call: CallState, result: ToolCompleted | ToolFailed) -> str:
    """The question of the turn that tells a result."""
    arguments = call.arguments if len(call.arguments) <= _TOLD_CHARS else "…"
    if isinstance(result, ToolFailed):
        return f"The function {call.name}({arguments}) has failed. Tell me: {result.message}"
    return f"The function {call.name}({arguments}) has returned its result. Tell me: {result.output}"
