"""Builds the language model's messages from a session's earlier turns."""

from typing import Final

from pipeline.engines.ports import Message
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.conversation_items import Item
from pipeline.session_state.llm_context import before as items_before
from pipeline.session_state.llm_context import context_messages, forgotten
from pipeline.session_state.turn_state import TurnState
from schemas.ids import TurnId

CHARS_PER_TOKEN: Final = 3
"""At least; what does not fit the model's window after all is the engine's to leave out."""
_CHARS_PER_MESSAGE: Final = 24
"""Characters around a message in the prompt, an upper bound."""
_STEPS: Final = 8
_UNHEARD: Final = "—"
"""Stands for an answer that was interrupted before its first word was heard: models want one."""
_GIVEN: Final = "Here is the next scene."
"""Stands for the question where a scene was given instead of asked for."""


def history(conversation: Conversation, *, before: TurnId, room: int) -> tuple[Message, ...]:
    """The questions and answers of earlier turns that fit beside the turn `before` in a window of `room`
    characters, the newest kept.

    Of the newest answer at least the end is kept, however long it is: a story goes on from there. Messages
    that do not fit are forgotten in steps of half the room, so that the beginning stays the same for several
    turns and the engine need not read it anew.
    """
    room = _left(conversation.turns[before], room)
    place = conversation.turns[before].place
    counting = [state for state in current_turns(conversation) if state.place < place]
    if conversation.items.managed:
        dropped = conversation.turns.keys() - {before, *(state.turn for state in counting)}
        items = items_before(conversation.items, before, dropped)
        return context_messages(items, conversation.turns, room=room)
    told = [state for state in counting if state.kind == "prompt" or conversation.kind == "story"]
    earlier = [
        _Exchange(state.text if state.kind == "prompt" else _GIVEN, _answer(state))
        for state in told[forgotten(len(told)) :]
    ]
    start = held = 0
    answered = [exchange for exchange in earlier if exchange.answer]
    for end, exchange in enumerate(answered, 1):
        held += exchange.chars
        if held > room:
            while start < end - 1 and held > room // 2:
                held -= answered[start].chars
                start += 1
    kept = answered[start:]
    if held > room and kept:
        kept = kept[-1].end(room)
    return tuple(message for exchange in kept for message in exchange.messages)


def counting_items(conversation: Conversation) -> list[Item]:
    """The items of the conversation, without those of turns that others have replaced."""
    dropped = conversation.turns.keys() - {turn.turn for turn in current_turns(conversation)}
    return items_before(conversation.items, TurnId(conversation.head + 1), dropped)


def _answer(state: TurnState) -> str:
    """As its listeners know it. That somebody asked is true even where nothing of the answer was heard; what
    was asked again with more words is not said twice."""
    if state.flushed and state.stopping != "merged" and state.answer:
        return state.heard_answer or _UNHEARD
    return state.heard_answer


class _Exchange:
    """A question and its answer."""

    def __init__(self, question: str, answer: str) -> None:
        self._question = question
        self.answer = answer

    @property
    def chars(self) -> int:
        return len(self._question) + len(self.answer) + 2 * _CHARS_PER_MESSAGE

    @property
    def messages(self) -> tuple[Message, Message]:
        return Message("user", self._question), Message("assistant", self.answer)

    def end(self, room: int) -> list["_Exchange"]:
        """As much of its end as fits, the answer's rather than the question's; nothing in a tiny room."""
        room -= 2 * _CHARS_PER_MESSAGE
        question = self._question[: max(0, room // 4)]
        answer = self.answer[-max(0, room - len(question)) :]
        return [_Exchange(question, answer)] if question and room > len(question) else []


def _left(turn: TurnState, room: int) -> int:
    """Characters that the turn's own question and answer leave of the window.

    The number falls in steps, so that small differences between turns do not move the first message.
    """
    answer = min(turn.settings.max_tokens * CHARS_PER_TOKEN, room // 2)
    begun = len(turn.answer) // 4
    own = len(turn.settings.system_prompt) + len(turn.text) + 3 * _CHARS_PER_MESSAGE + begun
    step = max(1, room // _STEPS)
    return max(0, (room - answer - own) // step * step)
