"""The Gateway deployment: the ingress that holds sockets, runs turns and knows the log."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.http import create_app
from deployments.language_model import RemoteLanguageModel
from deployments.services import Services, open_services
from deployments.text_to_speech import RemoteSpeaker
from pipeline.turn import Models
from schemas.settings import AppSettings


class GatewayReplica:
    """One gateway process. Everything it holds opens and closes with the application's lifespan."""

    def __init__(
        self,
        settings: AppSettings,
        language_model: DeploymentHandle[Any],
        text_to_speech: DeploymentHandle[Any],
        workers: DeploymentHandle[Any],
    ) -> None:
        """`workers` only says that they belong to the application: what they do comes by the log."""
        self._settings = settings
        self._language_model = language_model
        self._text_to_speech = text_to_speech

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(
            self._open, body_bytes=self._settings.limits.body_bytes, gateway=self._settings.gateway
        )

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Services, None]:
        language_model = RemoteLanguageModel(self._language_model)
        speaker = await RemoteSpeaker.connect(self._text_to_speech)
        checks = {"language_model": language_model.check, "text_to_speech": speaker.check}
        async with open_services(self._settings, Models(language_model, speaker), checks) as services:
            # What is there by now stays: looking through it again and again would stop every session for
            # 60 ms or so at a time.
            gc.collect()
            gc.freeze()
            yield services


Gateway = serve.ingress()(GatewayReplica)
