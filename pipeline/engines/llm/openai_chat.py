"""Any server with OpenAI's `POST /v1/chat/completions`: OpenAI itself, vLLM, Ollama, llama.cpp ...

Asked is for a stream; a server that answers with one document all the same is understood.
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from time import monotonic
from typing import Any, Final, Literal

import anyio
import httpx

from pipeline.core.texts import joined
from pipeline.engines.http.http_provider import Provider, body_of, words_of
from pipeline.engines.http.server_events import DONE, BadAnswer, Document, documents, parsed, whole
from pipeline.engines.llm.chat_body import CallsInPieces, messages_of, wishes_of
from pipeline.engines.ports import ChatRequest, Completion, ToolCall, Written
from schemas.errors import EngineDead, EngineError, EngineFailed
from schemas.settings.provider_settings import ChatProviderSettings

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAME: Final = re.compile(r"[ -~]{1,128}")
_LARGEST: Final = 2**53
_PASSING: Final = frozenset({"server_error", "overloaded_error", "rate_limit_error", "rate_limit_exceeded"})
"""OpenAI's and others' kinds of errors that may be over when they are asked again."""
_PASSING_STATUS: Final = re.compile(r"408|429|5\d\d")


class MayPass(BadAnswer):
    """The server says that it cannot, for now."""


class ChatAnswer:
    """Adds up the documents of one answer. Pure."""

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
        """Calls that the model asks for; complete when the answer is finished."""
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
            raise _failure(document["error"])
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


def _failure(error: Any) -> BadAnswer:
    try:
        words = f"failed: {words_of(error)}"
    except RecursionError:
        words = "failed"
    about = error if isinstance(error, dict) else {}
    code = str(about.get("code") or about.get("status"))
    passing = _PASSING_STATUS.fullmatch(code) or _PASSING & {str(about.get("type")), code}
    return MayPass(words) if passing else BadAnswer(words)


_FREE_CONNECTION_S: Final = 1.0
_FIGURES_S: Final = 1.0
"""How long the number of tokens is waited for when the text is whole."""
_GOODBYE_S: Final = 0.1
"""How long the end of the connection's body is waited for when all is said: then it can be used again."""
_GO_ON: Final = "Go on exactly where you broke off, in the same words as if you had not, and repeat nothing."


class OpenAiChat:
    """Satisfies LanguageModel: a request per answer. Closing a stream closes its connection at once.

    Raises EngineBusy and EngineDead before the first delta, and EngineFailed then or later. The key is in no
    message and in no `repr`.
    """

    def __init__(self, name: str, settings: ChatProviderSettings) -> None:
        self._provider = Provider(name, settings.api_key)
        self._settings = settings
        self.open_streams = 0
        """Answers that are being written elsewhere."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`. `timeout_s` is counted from one piece of the answer to the next one."""
        answer = ChatAnswer(self._provider.name, request.model or self._settings.model)
        self.open_streams += 1
        said = False
        try:
            async with aclosing(self._deltas(request, answer)) as deltas:
                async for delta in deltas:
                    said = True
                    yield delta
        except (BadAnswer, httpx.HTTPError, TimeoutError) as error:
            if not answer.finished:
                raise self._error(error, said) from error
        finally:
            self.open_streams -= 1
        if answer.withheld:
            raise EngineFailed(f"{self._provider.name} withheld the rest of its answer (content_filter).")
        if not answer.finished:
            raise self._error(httpx.RemoteProtocolError("no end"), said)
        for call in answer.calls:
            yield call
        yield answer.completion

    async def aclose(self) -> None:
        await self._provider.aclose()

    async def _deltas(self, request: ChatRequest, answer: ChatAnswer) -> AsyncGenerator[str, None]:
        """Raises TimeoutError. Items that show no work on the answer, as a comment, are no news."""
        async with aclosing(self._documents(_body(self._settings, request))) as items:
            due = monotonic() + self._settings.timeout_s
            while True:
                with anyio.fail_after(max(0.0, due - monotonic())):
                    document = await anext(items, None)
                if document is None:
                    return
                text = answer.take(document)
                if text:
                    yield text
                if answer.finished:
                    due = monotonic() + min(
                        self._settings.timeout_s, _GOODBYE_S if answer.done else _FIGURES_S
                    )
                elif text is not None:
                    due = monotonic() + self._settings.timeout_s

    async def _documents(self, body: dict[str, Any]) -> AsyncGenerator[Document, None]:
        waits = httpx.Timeout(None, pool=min(_FREE_CONNECTION_S, self._settings.timeout_s / 2))
        place = self._settings.url + self._settings.path
        request = self._provider.http.stream("POST", place, json=body, timeout=waits)
        async with request as response:
            await self._provider.refuse(response)
            if response.headers.get("content-type", "").startswith("application/json"):
                yield parsed(await whole(body_of(response)))
                return
            async with aclosing(documents(body_of(response))) as items:
                async for item in items:
                    yield item

    def _error(self, error: Exception, said: bool) -> EngineError:
        name, timeout_s = self._provider.name, self._settings.timeout_s
        if isinstance(error, BadAnswer):
            kind = EngineDead if isinstance(error, MayPass) and not said else EngineFailed
            return kind(f"{name} {self._provider.hidden(str(error))}.")
        if not said:
            return self._provider.broke_off(error, timeout_s)
        if isinstance(error, TimeoutError):
            return EngineFailed(f"{name} was silent for {timeout_s:g} s in the middle of its answer.")
        return EngineFailed(f"{name} broke off in the middle of its answer.")


def _body(settings: ChatProviderSettings, request: ChatRequest) -> dict[str, Any]:
    messages = messages_of(request.messages)
    body: dict[str, Any] = {
        "model": request.model or settings.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        settings.limit_field: request.max_tokens,
        "temperature": request.temperature,
        **wishes_of(request),
    }
    if messages and messages[-1]["role"] == "assistant":
        if settings.going_on == "ask":
            messages.append({"role": "user", "content": _GO_ON})
        elif settings.going_on == "vllm":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
    return {name: value for name, value in (body | settings.extra).items() if value is not None}
