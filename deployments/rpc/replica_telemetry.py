"""Log lines and traces of one replica process, and the decorators that make its calls parts of a turn."""

import functools
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

from ray import serve

from deployments.observability import log_lines
from deployments.rpc.result_stream_client import ResultDelivery, ResultStreamClient
from deployments.rpc.result_stream_server import WHOLE, Item, error_item
from pipeline.observability.trace_export import Exporting
from pipeline.observability.trace_propagation import NO_CONTEXT, PropagatedContext, ServerSpan
from pipeline.observability.tracer import Tracing
from schemas.errors import RhapsodeError
from schemas.settings.telemetry_settings import TelemetrySettings

log = logging.getLogger(__name__)


SILENT: Final = TelemetrySettings()
"""As configured by nobody: warnings as text, no traces."""


class Telemetry:
    """Telemetry of this process for the operator."""

    def __init__(self, settings: TelemetrySettings, part: str) -> None:
        replica = replica_name(part)
        log_lines.install(settings.logging, replica)
        self._exporting: Exporting | None = None
        if settings.tracing.enabled:
            try:
                self._exporting = Exporting(settings.tracing, part=part, instance=replica)
            except ImportError:  # an environment of its own that lacks the exporter
                log.warning(
                    "%s is not traced: its environment has no opentelemetry-exporter-otlp-proto-http", part
                )

    @property
    def tracing(self) -> Tracing | None:
        return None if self._exporting is None else self._exporting.tracing

    def close(self) -> None:
        if self._exporting is not None:
            self._exporting.close()


def replica_name(part: str) -> str:
    """As Serve calls it; outside of Serve, the process."""
    try:
        return str(serve.get_replica_context().replica_id.unique_id)
    except serve.exceptions.RayServeException:
        return f"{part}.{os.getpid()}"


class Observed:
    """A replica that can say what it does."""

    telemetry: Telemetry | None = None

    @property
    def tracing(self) -> Tracing | None:
        return None if self.telemetry is None else self.telemetry.tracing

    @functools.cached_property
    def results(self) -> ResultStreamClient:
        """Its ways to the gateways."""
        return ResultStreamClient()

    def completed(self, arguments: tuple[Any, ...], context: PropagatedContext) -> tuple[Any, ...]:
        """Arguments of a call, completed from `context` (see `deployments.replicas.language_model`)."""
        return arguments

    def __del__(self) -> None:
        """Called by Serve when the replica should go."""
        if self.telemetry is not None:
            self.telemetry.close()


async def _failed(error: RhapsodeError, served: ServerSpan, delivery: ResultDelivery | None) -> Item:
    """Returns the last item in Serve of a stream that failed. The error goes the way of its items."""
    failure = error_item(error)
    served.item(failure)
    served.whole()
    if delivery is not None and await delivery.delivered(failure):
        return {WHOLE: delivery.count}
    return failure


def streaming(name: str, item_of: Callable[[Any], Item] = lambda item: item) -> Callable[[Any], Any]:
    """Decorator of a method whose stream is a part of the turn that `context` names; see `inject`.

    `item_of` makes what travels of an item. A stream that fails ends with {"error", "message", "field"}.

    Gateways of 0.1.0 call it `come` (see `serve_client.CONTEXT`). Where it also names a gateway's address,
    the items go there past Serve, and the call may stay for what its caller asks next.
    """

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        async def followed(
            self: Observed,
            *arguments: Any,
            context: PropagatedContext = NO_CONTEXT,
            come: PropagatedContext = NO_CONTEXT,
        ) -> AsyncGenerator[Item, None]:
            context = context or come
            delivery = None
            while True:
                served = ServerSpan(name, context, self.tracing)
                try:
                    delivery = delivery or await self.results.to(context)
                    async with aclosing(method(self, *self.completed(arguments, context))) as stream:
                        async for made in stream:
                            item = item_of(made)
                            served.item(item)
                            if delivery is None:
                                yield item
                            else:
                                await delivery.deliver(item)
                    served.whole()
                except RhapsodeError as error:
                    yield await _failed(error, served, delivery)
                    return
                finally:
                    served.end()
                if delivery is None:
                    return
                asked = await self.results.asked_again(delivery)
                if asked is None:
                    yield {WHOLE: delivery.count}
                    return
                arguments, context = asked

        return followed

    return decorate


def answering(name: str) -> Callable[[Any], Any]:
    """The same for a method with one answer."""

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        async def followed(
            self: Observed,
            *arguments: Any,
            context: PropagatedContext = NO_CONTEXT,
            come: PropagatedContext = NO_CONTEXT,
        ) -> Item:
            context = context or come
            served = ServerSpan(name, context, self.tracing)
            try:
                item: Item = await method(self, *arguments)
                served.item(item)
                served.whole()
                return item
            finally:
                served.end()

        return followed

    return decorate
