"""What a turn is told before it runs, from the session as it stands."""

from collections.abc import Mapping
from typing import Protocol

from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_history import history
from pipeline.session_state.turn_state import TurnState
from pipeline.tts.turn_checkpoint import progress
from pipeline.turn.turn import TurnPlan
from schemas.ids import SessionId
from schemas.settings.provider_settings import LOCAL


class Rooms(Protocol):
    """How much of earlier turns whom may be told, in characters."""

    @property
    def history_chars(self) -> int: ...
    @property
    def history_chars_of(self) -> Mapping[str, int]: ...


def planned(session: SessionId, state: TurnState, conversation: Conversation, rooms: Rooms) -> TurnPlan:
    room = rooms.history_chars_of.get(state.settings.llm_provider or LOCAL, rooms.history_chars)
    told = room // 2 if state.settings.collections else room  # passages want their share
    return TurnPlan(
        turn=state.turn,
        asked_by=(state.by or conversation.principal) if conversation.principal else "",
        kind=state.kind,
        text=state.text,
        settings=state.settings,
        history=history(conversation, before=state.turn, room=told),
        requested_ms=state.requested_ms,
        given=state.given,
        room=room,
        session=session,
        traceparent=state.traceparent,
        progress=progress(state),
    )
