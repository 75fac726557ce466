"""The Gateway deployment: the ingress that holds sockets, runs turns and knows the log.

Serve also imports it in a process that only builds the application. The faces and the container, which take
two seconds to import, are therefore imported in the gateway's own process.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.observability import log_lines
from deployments.replicas.language_model import RemoteLanguageModel
from deployments.replicas.replica_counts import ReplicaCounts, unless_resting
from deployments.replicas.replica_stop import stop_watch
from deployments.replicas.retrieval import RemoteRetrieval
from deployments.replicas.serve_inbox import BoundedInboxes
from deployments.replicas.speech_to_text import RemoteSpeechToText
from deployments.replicas.text_to_speech import RemoteSpeaker
from deployments.rpc.replica_telemetry import replica_name
from deployments.rpc.result_stream_server import ResultStreamServer
from pipeline.core.garbage import short_collections
from pipeline.engines.ports import Transcribers
from schemas.errors import GatewayLeaving
from schemas.settings import AppSettings

if TYPE_CHECKING:
    from deployments.container import GatewayContainer

log = logging.getLogger(__name__)


class GatewayReplica:
    """One gateway process. Everything it holds opens and closes with the application's lifespan."""

    def __init__(
        self,
        settings: AppSettings,
        language_model: DeploymentHandle[Any],
        text_to_speech: DeploymentHandle[Any],
        speech_to_text: DeploymentHandle[Any],
        quality_speech_to_text: DeploymentHandle[Any],
        retrieval: DeploymentHandle[Any],
        workers: DeploymentHandle[Any],
    ) -> None:
        """`workers` only says that they belong to the application: what they do comes by the log."""
        from deployments.web.direct_listener import bound_every_server
        from deployments.web.spool import spool_under

        self._settings = settings
        self._language_model = language_model
        self._text_to_speech = text_to_speech
        self._speech_to_text = speech_to_text
        self._quality_speech_to_text = quality_speech_to_text
        self._retrieval = retrieval
        log_lines.install(settings.logging, replica_name("Gateway"))
        spool_under(settings.home)
        bound_every_server()
        self._services: GatewayContainer | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        from deployments.asgi_app import create_app

        app = create_app(
            self._open, body_bytes=self._settings.limits.body_bytes, gateway=self._settings.gateway
        )
        app.add_middleware(BoundedInboxes)
        return app

    async def check_health(self) -> None:
        """Called by Serve: who was sent away is replaced once nobody is there, who broke, too."""
        drain = None if self._services is None else self._services.leaving.drain
        if drain is not None and drain.over:
            raise GatewayLeaving(f"this gateway has gone: {drain.why}")

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator["GatewayContainer", None]:
        async with AsyncExitStack() as stack:
            try:
                results = await stack.enter_async_context(ResultStreamServer(ray.util.get_node_ip_address()))
            except OSError as error:  # Ray's address of this node is not one of its own
                log.warning("results of engines come through Serve: %s", error)
                results = None
            yield await stack.enter_async_context(self._opened(results))

    @asynccontextmanager
    async def _opened(self, results: ResultStreamServer | None) -> AsyncGenerator["GatewayContainer", None]:
        from deployments.container import open_services
        from pipeline.turn.generation import Engines

        language_model = RemoteLanguageModel(self._language_model, results)
        speaker = await RemoteSpeaker.connect(self._text_to_speech, results)
        realtime = RemoteSpeechToText(self._speech_to_text, tuple(self._settings.speech_to_text.providers))
        quality = RemoteSpeechToText(self._quality_speech_to_text)
        retrieval = RemoteRetrieval(self._retrieval)
        checks = {
            "language_model": language_model.check,
            "text_to_speech": speaker.check,
            "speech_to_text": realtime.check,
            "quality_speech_to_text": unless_resting(self._quality_speech_to_text, quality.check),
            "retrieval": unless_resting(self._retrieval, retrieval.check),
        }
        models, transcribers = Engines(language_model, speaker), Transcribers(realtime, quality)
        async with open_services(
            self._settings, models, transcribers, checks, retrieval, ReplicaCounts(), stop_watch()
        ) as services:
            self._services = services
            with short_collections():
                log.info("the gateway is ready")
                yield services


Gateway = serve.ingress()(GatewayReplica)
