"""What the language model is told of a session's earlier turns."""

from pipeline.conversation import Conversation
from pipeline.engines.base import Message
from schemas.ids import TurnId

_HISTORY_CHARS = 4_000
"""Prompts and answers given to the language model; the oldest are left out first."""


def history(conversation: Conversation, *, before: TurnId) -> tuple[Message, ...]:
    """The prompts and answers of earlier turns, newest kept, within a bound of characters."""
    messages: list[Message] = []
    room = _HISTORY_CHARS
    for state in reversed(list(conversation.turns.values())):
        answer = state.answer
        if state.turn >= before or state.kind != "prompt" or not answer:
            continue
        room -= len(state.text) + len(answer)
        if room < 0:
            break
        messages += [Message("assistant", answer), Message("user", state.text)]
    return tuple(reversed(messages))
