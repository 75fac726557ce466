"""The LanguageModel deployment: a replica around one engine, and the client that looks like that engine."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from ray.serve.handle import DeploymentHandle

from deployments.remote import error_item, items_of
from pipeline.coalesce import CoalescingLanguageModel
from pipeline.engines.base import ChatRequest, Completion, LanguageModel, Message
from pipeline.engines.registry import build_language_model
from schemas.errors import EngineError, RhapsodeError
from schemas.settings import LanguageModelSettings


class LanguageModelReplica:
    """One engine in one process. Ready means: it has answered once."""

    async def __init__(self, settings: LanguageModelSettings, cache: Path) -> None:  # type: ignore[misc]
        engine = build_language_model(settings, cache)
        self._engine: LanguageModel = CoalescingLanguageModel(engine, settings.coalesce_ms)
        async for _ in self._engine.stream(ChatRequest((Message("user", "Hello"),), max_tokens=2)):
            pass

    async def stream(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """{"text"} items, then {"finish", "tokens_in", "tokens_out"}; or {"error", "message", "field"}."""
        try:
            async with aclosing(self._engine.stream(_request_from(request))) as items:
                async for item in items:
                    if isinstance(item, str):
                        yield {"text": item}
                    else:
                        yield {
                            "finish": item.finish,
                            "tokens_in": item.tokens_in,
                            "tokens_out": item.tokens_out,
                        }
        except RhapsodeError as error:
            yield error_item(error)

    async def check_health(self) -> None:
        """Called by Serve; the engine's own thread is in this process, so answering is the check."""

    async def ready(self) -> bool:
        return True


class RemoteLanguageModel:
    """Satisfies LanguageModel over a Serve handle."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._stream = handle.options(method_name="stream", stream=True, _by_reference=False)
        self._ready = handle.options(method_name="ready", _by_reference=False)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        async with aclosing(items_of(self._stream.remote(_request_dict(request)))) as items:
            async for item in items:
                if "text" in item:
                    yield cast(str, item["text"])
                else:
                    yield Completion(item["finish"], item["tokens_in"], item["tokens_out"])

    async def check(self) -> None:
        """Raises EngineError if no replica answers."""
        try:
            await self._ready.remote()
        except Exception as error:
            raise EngineError("no language model replica answers") from error

    async def aclose(self) -> None:
        """Nothing to close: the handle belongs to Serve."""


def _request_dict(request: ChatRequest) -> dict[str, Any]:
    return {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop),
    }


def _request_from(data: dict[str, Any]) -> ChatRequest:
    return ChatRequest(
        messages=tuple(Message(message["role"], message["content"]) for message in data["messages"]),
        max_tokens=data["max_tokens"],
        temperature=data["temperature"],
        seed=data["seed"],
        stop=tuple(data["stop"]),
    )
