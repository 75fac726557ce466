"""A collector of traces on a loopback port: what it is sent by OTLP over HTTP, decoded."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from pipeline.observability import tracer
from tests.support.eventually import eventually
from tests.support.servers.web_server_thread import serving_somewhere

OK, ERROR = 1, 2


@dataclass(frozen=True)
class Span:
    """As it arrived."""

    name: str
    trace: int
    id: int
    parent: int
    start_ns: int
    end_ns: int
    told: dict[str, Any]
    events: dict[str, dict[str, Any]]
    links: list[tuple[int, int, dict[str, Any]]]
    """Trace, span, attributes."""
    error: str
    """The status' description, where the status is an error."""
    by: dict[str, Any]
    """The resource."""


@dataclass
class Collector:
    """Everything that was sent; `status` is what it answers, `gate` when."""

    url: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: int = 0

    def of(self, session: str, turn: int) -> list[Span]:
        """One turn's trace."""
        return [span for span in self.spans if span.trace == tracer.trace_id(session, turn)]

    def named(self, name: str, among: list[Span] | None = None) -> list[Span]:
        return [span for span in (self.spans if among is None else among) if span.name == name]

    async def trace(self, session: str, turn: int, *, turns: int = 1) -> list[Span]:
        """The turn's trace, when it has so many spans of owners that are through with it."""
        await eventually(lambda: len(self.named("turn", self.of(session, turn))) >= turns)
        return self.of(session, turn)


def tree(spans: list[Span]) -> set[tuple[str, str]]:
    """(parent, child) by their names; "" for a span whose parent is not there."""
    names = {span.id: span.name for span in spans}
    return {(names.get(span.parent, ""), span.name) for span in spans}


@contextmanager
def collector() -> Iterator[Collector]:
    """It answers until the block ends."""
    found, app = Collector(), FastAPI()
    found.gate.set()

    @app.post("/v1/traces")
    async def take(request: Request) -> Response:
        found.headers.append(dict(request.headers))
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if found.status == 200:
            found.spans += _decoded(ExportTraceServiceRequest.FromString(body))
        return Response(b"", found.status, media_type="application/x-protobuf")

    @app.post("/slow/v1/traces")
    def hold() -> Response:
        found.waiting += 1
        found.gate.wait()
        return Response(b"")

    with serving_somewhere(app, "the collector") as found.url:
        try:
            yield found
        finally:
            found.gate.set()


def _decoded(sent: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in sent.resource_spans:
        by = _read(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    int.from_bytes(span.trace_id, "big"),
                    int.from_bytes(span.span_id, "big"),
                    int.from_bytes(span.parent_span_id, "big"),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _read(span.attributes),
                    {event.name: _read(event.attributes) for event in span.events},
                    [
                        (
                            int.from_bytes(link.trace_id, "big"),
                            int.from_bytes(link.span_id, "big"),
                            _read(link.attributes),
                        )
                        for link in span.links
                    ],
                    span.status.message if span.status.code == ERROR else "",
                    by,
                )


def _read(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
