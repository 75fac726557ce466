"""One gateway with scripted engines and workers, in a process that may be killed at any moment. Knows no Ray.

python -m loadtests.servers.scripted_gateway SETTINGS.json
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from deployments.asgi_app import create_app
from deployments.container import GatewayContainer, open_services
from deployments.observability import log_lines
from pipeline.engines.ports import Transcribers
from pipeline.engines.registry import (
    build_language_model,
    build_quality_speech_to_text,
    build_speech_to_text,
    build_text_to_speech,
)
from pipeline.engines.routed_language_model import CoalescingLanguageModel
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.turn.generation import Engines
from schemas.settings import AppSettings


async def serve(settings: AppSettings) -> None:
    """Answer on the direct port until SIGTERM, and then go in order."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)

    @asynccontextmanager
    async def services() -> AsyncGenerator[GatewayContainer, None]:
        writer = build_language_model(settings.language_model, settings.cache)
        voice = build_text_to_speech(settings.text_to_speech, settings.cache)
        models = Engines(
            CoalescingLanguageModel(writer, settings.language_model.coalesce_ms),
            EncodingSpeaker(voice, settings.text_to_speech),
        )
        transcribers = Transcribers(
            build_speech_to_text(settings.speech_to_text, settings.cache),
            build_quality_speech_to_text(settings.quality_speech_to_text, settings.cache),
        )
        async with open_services(settings, models, transcribers, {}) as opened:
            yield opened

    app = create_app(services, body_bytes=settings.limits.body_bytes, gateway=settings.gateway)
    async with app.router.lifespan_context(app):
        (settings.home / f"ready-{os.getpid()}").touch()
        await told.wait()


if __name__ == "__main__":
    given = AppSettings.model_validate_json(Path(sys.argv[1]).read_text())
    log_lines.install(given.logging, f"Gateway.{os.getpid()}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as Ray's workers
        runner.run(serve(given))
