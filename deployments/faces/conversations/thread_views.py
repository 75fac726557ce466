"""Threads and characters as their clients see them."""

from collections.abc import Iterator
from itertools import chain

from deployments.web.json_lists import as_they_are
from pipeline.rag.citations import citations
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.turn_state import TurnState
from schemas.apps.conversation_messages import CharacterView, ListedThread, MessageView, ThreadView
from schemas.events import CharacterSaved
from schemas.ids import SessionId
from schemas.native.worker_answers import ListedSession


def character_view(saved: CharacterSaved) -> CharacterView:
    return CharacterView(id=saved.character, **saved.model_dump(exclude={"type", "v", "character"}))


def thread_view(
    thread: SessionId, conversation: Conversation, character: CharacterSaved | None
) -> ThreadView:
    """The thread without its messages."""
    return ThreadView(
        id=thread,
        title=conversation.title,
        character=None if character is None else character_view(character),
        created_ms=conversation.created_ms,
        latest_ms=conversation.latest_ms,
        owner=conversation.principal,
        members=tuple(sorted(conversation.members)),
    )


def messages(conversation: Conversation) -> Iterator[MessageView]:
    """Of each turn that counts the question, and the answer as far as there is one."""
    return chain.from_iterable(as_they_are(current_turns(conversation), _messages))


def _messages(state: TurnState) -> list[MessageView]:
    asked = MessageView(
        id=f"{state.turn}-user",
        turn=state.turn,
        role="user",
        content=state.question,
        created_ms=state.requested_ms,
        user=state.by,
    )
    answer = MessageView(
        id=str(state.turn),
        turn=state.turn,
        role="assistant",
        content=state.answer,
        created_ms=state.ended_ms or state.requested_ms,
        continues=state.continues,
        status=state.status,
        citations=citations(state),
        error=state.error and state.error["message"],
    )
    return [asked, answer] if state.question else [answer]


def listed_thread(listed: ListedSession) -> ListedThread:
    return ListedThread(
        id=listed.session_id,
        title=listed.title,
        created_ms=listed.created_ms,
        latest_ms=listed.latest_ms,
        owner=listed.principal,
        turns=listed.turns,
    )
