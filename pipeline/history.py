"""What the language model is told of a session's earlier turns."""

from typing import Final

from pipeline.conversation import Conversation
from pipeline.engines.base import Message
from schemas.ids import TurnId

_GIVEN: Final = "Here is the next scene."
"""Stands for the question where a scene was given instead of asked for."""
CHARS_PER_TOKEN: Final = 3
"""At least; what does not fit the model's window after all is the engine's to leave out."""


def history(conversation: Conversation, *, before: TurnId, room: int) -> tuple[Message, ...]:
    """The questions and answers of earlier turns within `room` characters, the newest kept.

    Of the newest answer at least the end is kept, however long it is: that is what a story goes on from.
    """
    messages: list[Message] = []
    for state in reversed(list(conversation.turns.values())):
        answer, question = state.answer, state.text if state.kind == "prompt" else _GIVEN
        told = state.kind == "prompt" or conversation.kind == "story"
        if state.turn >= before or not told or not answer:
            continue
        room -= len(question) + len(answer)
        if room < 0 and messages:
            break
        if room < 0:
            answer = answer[-room:] if -room < len(answer) else ""
        messages += [Message("assistant", answer), Message("user", question)]
        if room < 0:
            break
    return tuple(reversed([message for message in messages if message.content]))
