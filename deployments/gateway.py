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
from deployments.librarian import RemoteLibrarian
from deployments.services import Services, open_services
from deployments.speech_to_text import RemoteSpeechToText
from deployments.text_to_speech import RemoteSpeaker
from pipeline.answer import Models
from pipeline.engines.base import Transcribers
from schemas.settings import AppSettings


class GatewayReplica:
    """One gateway process. Everything it holds opens and closes with the application's lifespan."""

    def __init__(
        self,
        settings: AppSettings,
        language_model: DeploymentHandle[Any],
        text_to_speech: DeploymentHandle[Any],
        speech_to_text: DeploymentHandle[Any],
        quality_speech_to_text: DeploymentHandle[Any],
        librarian: DeploymentHandle[Any],
        workers: DeploymentHandle[Any],
    ) -> None:
        """`workers` only says that they belong to the application: what they do comes by the log."""
        self._settings = settings
        self._language_model = language_model
        self._text_to_speech = text_to_speech
        self._speech_to_text = speech_to_text
        self._quality_speech_to_text = quality_speech_to_text
        self._librarian = librarian

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(
            self._open, body_bytes=self._settings.limits.body_bytes, gateway=self._settings.gateway
        )

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Services, None]:
        language_model = RemoteLanguageModel(self._language_model)
        speaker = await RemoteSpeaker.connect(self._text_to_speech)
        realtime = RemoteSpeechToText(self._speech_to_text, tuple(self._settings.speech_to_text.providers))
        quality = RemoteSpeechToText(self._quality_speech_to_text)
        checks = {
            "language_model": language_model.check,
            "text_to_speech": speaker.check,
            "speech_to_text": realtime.check,
            "quality_speech_to_text": quality.check,
        }
        models, transcribers = Models(language_model, speaker), Transcribers(realtime, quality)
        librarian = RemoteLibrarian(self._librarian)
        async with open_services(self._settings, models, transcribers, checks, librarian) as services:
            # What is there by now stays: looking through it again and again would stop every session for
            # 60 ms or so at a time.
            gc.collect()
            gc.freeze()
            yield services


Gateway = serve.ingress()(GatewayReplica)
