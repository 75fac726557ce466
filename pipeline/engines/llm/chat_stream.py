"""What servers say in chat completions, streamed or at once: deltas, how it ended, and what went wrong."""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from pipeline.core.surrogates import joined
from pipeline.engines.http.http_provider import words_of
from pipeline.engines.http.server_events import DONE, BadAnswer, Document
from pipeline.engines.llm.chat_body import CallsInPieces
from pipeline.engines.ports import Completion, ToolCall

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAME: Final = re.compile(r"[ -~]{1,128}")
_LARGEST: Final = 2**53
_PASSING: Final = frozenset({"server_error", "overloaded_error", "rate_limit_error", "rate_limit_exceeded"})
"""OpenAI's and others' kinds of errors that may be over when they are asked again."""
_PASSING_STATUS: Final = re.compile(r"408|429|5\d\d")


class MayPass(BadAnswer):
    """The server says that it cannot, for now."""


class ChatAnswer:
    """What the documents of one answer add up to. Pure."""

    def __init__(self, name: str, model: str) -> None:
        self._name = name
        self._model = model
        self._reason = ""
        self._tokens_in = 0
        self._tokens_out = 0
        self._half = ""
        """The first half of a pair of surrogates, whose second one comes with the next delta."""
        self._begun = False
        self._calls = CallsInPieces()
        self.done = False
        """It said so itself: nothing follows, not even figures."""

    @property
    def finished(self) -> bool:
        """All of the text is there."""
        return self.done or bool(self._reason)

    @property
    def withheld(self) -> bool:
        """The server's filter kept the rest of the answer back."""
        return self._reason == "content_filter"

    @property
    def calls(self) -> list[ToolCall]:
        """What it wants called; all there when it is finished."""
        return [] if self._reason == "length" else self._calls.calls()

    @property
    def completion(self) -> Completion:
        whole: Literal["stop", "tool_calls"] = "tool_calls" if self._calls else "stop"
        return Completion(
            finish="length" if self._reason == "length" else whole,
            tokens_in=self._tokens_in,
            tokens_out=self._tokens_out,
            provider=self._name,
            model=self._model,
        )

    def take(self, document: Document) -> str | None:
        """The text that a document adds; "": none, but work on it goes on; None: not even that.

        Raises BadAnswer, or MayPass, for an error in place of the answer.
        """
        if document is DONE:
            self.done = True
            return None
        if document.get("error"):
            raise _trouble(document["error"])
        self._note(document)
        said: str | None = None
        for choice in _choices(document):
            reason = choice.get("finish_reason")
            if isinstance(reason, str) and reason:
                self._reason = reason
            # Some servers say all of it again at the end.
            part = choice.get("delta", None if self._begun else choice.get("message"))
            if isinstance(part, dict):
                self._calls.take(part.get("tool_calls"))
                if (text := _text_of(part)) is not None:
                    said = (said or "") + text
        self._begun = self._begun or bool(said)
        return None if said is None else self._whole(said)

    def _note(self, document: Document) -> None:
        model, usage = document.get("model"), document.get("usage")
        if isinstance(model, str) and _NAME.fullmatch(model):
            self._model = model
        if isinstance(usage, dict):
            self._tokens_in = _count(usage.get("prompt_tokens"), self._tokens_in)
            self._tokens_out = _count(usage.get("completion_tokens"), self._tokens_out)

    def _whole(self, text: str) -> str:
        """Without halves of characters, which nothing can write down."""
        text, self._half = self._half + text, ""
        if not _SURROGATE.search(text):
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return joined(text)


def _choices(document: Document) -> Iterator[dict[str, Any]]:
    """Of the first answer: there is no second one unless `extra` asks for it."""
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index", 0) == 0:
            yield choice


def _text_of(part: dict[str, Any]) -> str | None:
    """A refusal is an answer as well. Thoughts are not, but they show that the server is at work."""
    for name in ("content", "refusal"):
        if isinstance(text := part.get(name), str) and text:
            return text
    thinks = any(part.get(name) for name in ("reasoning_content", "reasoning", "tool_calls"))
    return "" if thinks else None


def _count(value: Any, otherwise: int) -> int:
    return value if type(value) is int and 0 <= value < _LARGEST else otherwise


def _trouble(error: Any) -> BadAnswer:
    try:
        words = f"failed: {words_of(error)}"
    except RecursionError:
        words = "failed"
    about = error if isinstance(error, dict) else {}
    code = str(about.get("code") or about.get("status"))
    passing = _PASSING_STATUS.fullmatch(code) or _PASSING & {str(about.get("type")), code}
    return MayPass(words) if passing else BadAnswer(words)
