"""Fits a conversation into a language model's context window. Pure."""

from collections.abc import Sequence
from typing import Final

from pipeline.engines.ports import Message

_CHARS_PER_TOKEN: Final = 3.0
"""On the safe side: plain English has about 4 with SmolLM2's vocabulary, numbers and short words fewer."""
_TOKENS_PER_MESSAGE: Final = 8
_FORGOTTEN_AT_ONCE: Final = 8
"""The engine keeps what it has read of a conversation while that begins the same: a window that moved on
with every turn would be read anew with every turn, at 5 ms a token."""


def fitting(messages: Sequence[Message], *, context_tokens: int, answer_tokens: int) -> tuple[Message, ...]:
    """The messages that leave room for the answer: the oldest are forgotten first, several at once.

    System messages and the last question (with the answer begun to it) always stay. The answer is granted
    half of the window at most, lest a generous `answer_tokens` make the model forget everything.
    """
    kept = tuple(messages)
    room = context_tokens - min(answer_tokens, context_tokens // 2)
    while _estimate(kept) > room:
        before = len(kept)
        for _ in range(_FORGOTTEN_AT_ONCE):
            kept = without_oldest(kept) or kept
        if len(kept) == before:
            break
    return kept


def too_long(tokens: int, window: int) -> str:
    """Error message for messages that do not fit; LiteLLM and pydantic-ai recognise its first words."""
    bound = f"This model's maximum context length is {window} tokens, its answer included"
    return f"{bound}; the messages have {tokens}."


def without_oldest(messages: tuple[Message, ...]) -> tuple[Message, ...] | None:
    """All but the oldest message that may be forgotten; None if there is none.

    The results of calls are forgotten together with the calls: servers refuse one without the other.
    """
    asked = max((at for at, message in enumerate(messages) if message.role == "user"), default=len(messages))
    for at, message in enumerate(messages[:asked]):
        if message.role != "system":
            end = at + 1
            while end < asked and messages[end].role == "tool":
                end += 1
            return messages[:at] + messages[end:]
    return None


def _estimate(messages: Sequence[Message]) -> float:
    return sum(_chars(message) / _CHARS_PER_TOKEN + _TOKENS_PER_MESSAGE for message in messages)


def _chars(message: Message) -> int:
    return len(message.content) + sum(len(call.name) + len(call.arguments) for call in message.calls)
