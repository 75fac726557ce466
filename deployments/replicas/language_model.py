"""The LanguageModel deployment: a replica around one engine, and the client that looks like that engine."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, cast

from ray.serve.handle import DeploymentHandle

from deployments.rpc.replica_telemetry import SILENT, Observed, Telemetry, streaming
from deployments.rpc.result_stream_server import ResultStreamServer
from deployments.rpc.serve_client import ReplicaCalls, healthy
from pipeline.engines.ports import (
    ChatRequest,
    Completion,
    Function,
    LanguageModel,
    LocalLanguageModel,
    Message,
    Stream,
    ToolCall,
    Written,
)
from pipeline.engines.registry import build_language_model
from pipeline.engines.routed_language_model import CoalescingLanguageModel, open_language_model
from pipeline.observability import span_names
from pipeline.observability.trace_propagation import PropagatedContext, inject
from schemas.settings import LanguageModelSettings
from schemas.settings.telemetry_settings import TelemetrySettings

_NEWER: Final = ("whole",)
"""Fields of a request that replicas of 0.1.0 refuse. They travel in `context`, of which an old replica reads
what it knows."""


def _item(made: Written) -> dict[str, Any]:
    if isinstance(made, str):
        return {"text": made}
    return {"call": asdict(made)} if isinstance(made, ToolCall) else asdict(made)


class LanguageModelReplica(Observed):
    """The model in this server and the ways to others. Ready means: the one here has answered once."""

    async def __init__(  # type: ignore[misc]
        self, settings: LanguageModelSettings, cache: Path, telemetry: TelemetrySettings = SILENT
    ) -> None:
        self.telemetry = Telemetry(telemetry, "LanguageModel")
        await self._begin(build_language_model(settings, cache), settings)

    async def _begin(self, local: LocalLanguageModel, settings: LanguageModelSettings) -> None:
        self._local = local
        engine = open_language_model(local, settings)
        self._engine: LanguageModel = CoalescingLanguageModel(engine, settings.coalesce_ms)
        async for _ in self._engine.stream(ChatRequest((Message("user", "Hello"),), max_tokens=2)):
            pass

    @streaming(span_names.REPLICA_CHAT, _item)
    def stream(self, request: dict[str, Any]) -> Stream[Written]:
        """{"text"} and {"call"} items, then a completion as {"finish", ...}."""
        return self._engine.stream(_request_from(request))

    def completed(self, arguments: tuple[Any, ...], context: PropagatedContext) -> tuple[Any, ...]:
        """The request with those of its fields that travelled in `context`."""
        [request] = arguments
        return ({**request, **{name: bool(context[name]) for name in _NEWER if name in context}},)

    async def check_health(self) -> None:
        """Called by Serve, which replaces the replica where this raises EngineDead."""
        self._local.check()

    async def ready(self) -> bool:
        return True


class RemoteLanguageModel:
    """Satisfies LanguageModel over a Serve handle; what is written comes to `results`."""

    def __init__(self, handle: DeploymentHandle[Any], results: ResultStreamServer | None = None) -> None:
        self._stream = ReplicaCalls(
            handle.options(method_name="stream", stream=True, _by_reference=False), results
        )
        self._health = handle.options(method_name="check_health", _by_reference=False)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        asked = asdict(request)
        del asked["principal"]  # replicas do not need it, and those of 0.1.0 refuse it
        newer = {name: asked.pop(name) for name in _NEWER}
        async with self._stream.stream(asked, context={**inject(), **newer}) as items:
            async for item in items:
                yield _written(item)

    async def check(self) -> None:
        """Raises EngineError if no replica answers, or one says that its engine is dead or has stopped."""
        await healthy(self._health.remote(), "no language model replica answers")

    async def aclose(self) -> None:
        """Nothing to close: the handle belongs to Serve."""


def _written(item: Mapping[str, Any]) -> Written:
    if "text" in item:
        return cast(str, item["text"])
    return ToolCall(**item["call"]) if "call" in item else Completion(**item)


def _request_from(data: dict[str, Any]) -> ChatRequest:
    messages = tuple(
        Message(**{**message, "calls": tuple(ToolCall(**call) for call in message["calls"])})
        for message in data["messages"]
    )
    functions = tuple(Function(**function) for function in data["functions"])
    values = {**data, "messages": messages, "functions": functions, "stop": tuple(data["stop"])}
    # Gateways of a later version may say more than is known here.
    return ChatRequest(**{one.name: values[one.name] for one in fields(ChatRequest) if one.name in values})
