"""Any server with OpenAI's `POST /v1/chat/completions`: OpenAI itself, vLLM, Ollama, llama.cpp ...

Asked is for a stream; a server that answers with one document all the same is understood.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Any, Final

import anyio
import httpx

from pipeline.engines.http.http_provider import Provider, body_of
from pipeline.engines.http.server_events import BadAnswer, Document, documents, parsed, whole
from pipeline.engines.llm.chat_body import messages_of, wishes_of
from pipeline.engines.llm.chat_stream import ChatAnswer, MayPass
from pipeline.engines.ports import ChatRequest, Written
from schemas.errors import EngineDead, EngineError, EngineFailed
from schemas.settings.provider_settings import ChatProviderSettings

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
                raise self._told(error, said) from error
        finally:
            self.open_streams -= 1
        if answer.withheld:
            raise EngineFailed(f"{self._provider.name} withheld the rest of its answer (content_filter).")
        if not answer.finished:
            raise self._told(httpx.RemoteProtocolError("no end"), said)
        for call in answer.calls:
            yield call
        yield answer.completion

    async def aclose(self) -> None:
        await self._provider.aclose()

    async def _deltas(self, request: ChatRequest, answer: ChatAnswer) -> AsyncGenerator[str, None]:
        """Raises TimeoutError. What shows no work on the answer, as a comment, does not count as news."""
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

    def _told(self, error: Exception, said: bool) -> EngineError:
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
