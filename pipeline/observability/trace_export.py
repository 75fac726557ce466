"""Export of spans: a bounded queue, a thread that empties it, a collector that may be gone."""

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio.to_thread
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from pipeline.observability import span_names
from pipeline.observability.tracer import Ids, Tracing
from schemas.settings.telemetry_settings import TracingSettings
from schemas.version import BUILD

CLOSE_S: Final = 2.0
"""For the last spans; a collector that is gone does not keep a replica from ending."""
TIMEOUT_S: Final = 5.0


class Exporting:
    """Tracing with a way out. A full queue drops spans, the newest stay; no caller ever waits."""

    def __init__(self, settings: TracingSettings, *, part: str, instance: str, model: str = "") -> None:
        attributes = {
            span_names.SERVICE: settings.service,
            span_names.VERSION: BUILD,
            span_names.INSTANCE: instance,
            span_names.PART: part,
        }
        self._closed = False
        self._exporter = _exporter(settings)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # spans that are not sampled are not begun
            resource=Resource.create(attributes),
            id_generator=Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        tracer = self._provider.get_tracer(span_names.SCOPE)
        self.tracing = Tracing(tracer, ratio=settings.sample_ratio, content=settings.content, model=model)

    def close(self) -> None:
        """Send what waits, for a moment. Blocks for at most `CLOSE_S`; twice is as good as once."""
        if self._closed:
            return
        self._closed = True
        leaving = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        leaving.start()
        leaving.join(CLOSE_S)
        if leaving.is_alive():
            self._exporter.shutdown()  # it stops trying again


def _exporter(settings: TracingSettings) -> SpanExporter:
    # Only where it is wanted: it brings its own HTTP client.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    return OTLPSpanExporter(endpoint=settings.url, headers=headers, timeout=TIMEOUT_S)


@asynccontextmanager
async def open_tracing(
    settings: TracingSettings, *, part: str, instance: str, model: str = ""
) -> AsyncGenerator[Tracing | None, None]:
    """None where it is switched off. `model`: the name of the language model in this server."""
    if not settings.enabled:
        yield None
        return
    exporting = Exporting(settings, part=part, instance=instance, model=model)
    try:
        yield exporting.tracing
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(exporting.close)
