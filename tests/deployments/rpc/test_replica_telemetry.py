"""The replicas' own spans, with the replica in this process; tests/serve has them on Ray."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from deployments.replicas.language_model import LanguageModelReplica
from deployments.rpc.serve_client import CONTEXT
from pipeline.engines.ports import ChatRequest, Message
from pipeline.observability import span_names
from pipeline.observability.trace_export import open_tracing
from pipeline.observability.trace_propagation import inject
from pipeline.observability.tracer import TurnTrace, in_session, span, turn_span
from schemas.settings import LanguageModelSettings
from schemas.settings.telemetry_settings import TelemetrySettings, TracingSettings
from tests.support.servers.trace_collector import Collector, Span, tree

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("as_before")]


async def items(stream: AsyncGenerator[dict[str, Any], None], most: int) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    async with aclosing(stream) as coming:
        async for item in coming:
            found.append(item)
            if len(found) == most:
                break
    return found


async def replica_with(telemetry: TelemetrySettings, cache: Path) -> LanguageModelReplica:
    """As Serve makes it."""
    replica = LanguageModelReplica.__new__(LanguageModelReplica)
    await LanguageModelReplica.__init__(replica, LanguageModelSettings(engine="scripted"), cache, telemetry)
    return replica


@pytest.mark.parametrize("keyword", [CONTEXT, "context"])
async def test_a_call_is_a_child_of_its_caller_in_the_process_that_serves_it(
    tmp_path: Path, collecting: Collector, quickly: None, keyword: str
) -> None:
    settings = TracingSettings(enabled=True, endpoint=collecting.url)
    session = f"called-by-{keyword}"
    replica = await replica_with(TelemetrySettings(tracing=settings), tmp_path)
    asked = asdict(ChatRequest((Message("user", "A story, please."),)))
    assert len(await items(replica.stream(asked), 3)) == 3, "nobody needs to say where they are"
    async with open_tracing(settings, part="Gateway", instance="caller") as tracing:
        with (
            in_session(session, tracing),
            turn_span(TurnTrace(session, 2), {}, epoch=1, resumed=False, since_ms=0),
            span("chat"),
        ):
            context = inject()
            assert all(isinstance(value, str | int) for value in context.values())
            assert "finish" in (await items(replica.stream(asked, **{keyword: context}), 10_000))[-1]
            await items(replica.stream(asked, **{keyword: context}), 1)
    assert replica.telemetry is not None
    replica.telemetry.close()
    spans: list[Span] = collecting.of(session, 2)
    assert tree(spans) == {("", "turn"), ("turn", "chat"), ("chat", "replica chat")}
    whole, left = sorted(collecting.named("replica chat", spans), key=lambda one: one.start_ns)
    assert (whole.by["rhapsode.part"], span_names.CANCELLED in whole.told) == ("LanguageModel", False)
    assert left.told[span_names.CANCELLED] is True
    assert whole.told[span_names.QUEUED_MS] >= 0
    assert span_names.FIRST_DELTA in whole.events
