"""Renders a conversation with the model's chat template, as tokens that fit into its window."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from jinja2 import TemplateError

from pipeline.engines.llm.chat_body import messages_of, wishes_of
from pipeline.engines.llm.context_window import fitting, too_long, without_oldest
from pipeline.engines.ports import ChatRequest, Message
from schemas.errors import ContextTooLong, EngineFailed


@dataclass(frozen=True, slots=True)
class Prompt:
    tokens: list[int]
    room: int
    """Tokens left for the answer."""


class Prompts:
    """Makes prompts with the model's own tokenizer; never two at a time. Blocks for milliseconds."""

    def __init__(self, tokenizer: Any, window: int, options: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._window = window
        self._options = options

    @property
    def template(self) -> str:
        """The chat template for calls of functions, if there are several."""
        return str(self._tokenizer.get_chat_template(tools=[{}]))

    def make(self, request: ChatRequest) -> Prompt:
        """Forgets the oldest messages until the rest fits, unless it is to be told whole.

        Raises ContextTooLong for what does not fit then, and EngineFailed.
        """
        most = min(request.max_tokens, self._window // 2)
        messages = request.messages
        if not request.whole:
            messages = fitting(messages, context_tokens=self._window, answer_tokens=request.max_tokens)
        while True:
            tokens = self._tokens(messages, request)
            too_many = len(tokens) > self._window - most and not request.whole
            shorter = without_oldest(messages) if too_many else None
            if shorter is None:
                break
            messages = shorter
        if len(tokens) >= self._window:
            raise ContextTooLong(too_long(len(tokens), self._window))
        return Prompt(tokens, self._window - len(tokens))

    def _tokens(self, messages: Sequence[Message], request: ChatRequest) -> list[int]:
        """An answer that was begun comes after the template's own beginning of an answer, as it is."""
        *before, last = messages
        begun = last.content if last.role == "assistant" and not last.calls else ""
        prompt = before if last.role == "assistant" and not last.calls else messages
        try:
            text = self._tokenizer.apply_chat_template(
                [_with_documents(one) for one in messages_of(_one_system(prompt))],
                tools=wishes_of(request).get("tools"),
                add_generation_prompt=True,
                tokenize=False,
                **self._options,
            )
        except (TemplateError, ValueError, TypeError) as error:
            raise EngineFailed(
                f"The model's chat template does not take this conversation: {error}"
            ) from error
        tokens: list[int] = self._tokenizer.encode(text + begun, add_special_tokens=False)
        return tokens


def _one_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Many templates take one system message only, and only at the beginning."""
    first = tuple(takewhile(lambda message: message.role == "system", messages))
    if len(first) < 2:
        return tuple(messages)
    whole = "\n\n".join(message.content for message in first)
    return (replace(first[0], content=whole), *messages[len(first) :])


def _with_documents(message: dict[str, Any]) -> dict[str, Any]:
    """The arguments of calls as templates want them: as what the JSON says."""
    for call in message.get("tool_calls", ()):
        function = call["function"]
        try:
            function["arguments"] = json.loads(function["arguments"])
        except (ValueError, RecursionError):
            continue  # as the model wrote it
    return message
