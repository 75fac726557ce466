"""The real application on a loopback port inside the test process, with scripted engines and a real log."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest

from deployments.asgi_app import create_app
from deployments.container import GatewayContainer, open_services
from deployments.replicas.workers import run_workers
from pipeline.engines.ports import Transcribers
from pipeline.engines.registry import (
    build_language_model,
    build_quality_speech_to_text,
    build_speech_to_text,
    build_text_to_speech,
)
from pipeline.engines.routed_language_model import CoalescingLanguageModel, open_language_model
from pipeline.engines.routed_speaker import open_speaker
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.turn.generation import Engines
from schemas.errors import RhapsodeError
from schemas.native.client_commands import Control
from schemas.settings import AppSettings
from tests.support.servers.web_server_thread import serving


@dataclass
class RunningApp:
    """A gateway that answers at `url`; `loop` and `services` are those of its own thread."""

    url: str
    settings: AppSettings
    engines: dict[str, Any] = field(default_factory=dict)
    services: GatewayContainer | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def stop_answers(self) -> None:
        """Stop what is being answered, so that nothing is written and spoken beside the next test."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self._stop_answers(), self.loop).result(30)

    async def _stop_answers(self) -> None:
        assert self.services is not None
        sessions = self.services.sessions
        for session in [owner.session for owner in sessions._owners._owners.values() if owner.busy]:
            for turn in reversed((await sessions.glance(session)).unfinished):
                with suppress(RhapsodeError):  # it has just ended
                    await sessions.control(session, Control(action="stop", turn=turn.turn))


def scripted_settings(
    home: Path,
    *,
    llm: dict[str, Any] | None = None,
    tts: dict[str, Any] | None = None,
    stt: dict[str, Any] | None = None,
    **changes: Any,
) -> AppSettings:
    """Settings with scripted engines and everything under `home`; `changes` are branches as dicts.

    Both transcribers, realtime and quality, hear by `stt`. The language model does not hurry: where
    a machine stood still, an answer is not over sooner for who wants to do something meanwhile.
    """
    home.mkdir(parents=True, exist_ok=True)
    tree: dict[str, Any] = {"home": home, "cache": home / "cache"} | changes
    # How busy the machine is that runs the tests must not decide who is let in.
    limits = tree["limits"] = dict(tree.get("limits", {}))
    limits["admission"] = {"slowdown": None} | limits.get("admission", {})
    scripts = {
        "language_model": None if llm is None else {"hurries": False} | llm,
        "text_to_speech": tts,
        "speech_to_text": stt,
        "quality_speech_to_text": stt,
    }
    for branch, script in scripts.items():
        tree[branch] = {"engine": "scripted"} | tree.get(branch, {})
        if script is not None:
            path = home / f"{branch}.json"
            path.write_text(json.dumps(script))
            tree[branch]["script"] = path
    return AppSettings.model_validate(tree)


@contextmanager
def running_app(settings: AppSettings, *, port: int = 0, workers: bool = False) -> Iterator[RunningApp]:
    """Serve the gateway until the block ends; engines run in its loop, and workers if they are wanted."""
    listener = socket.create_server(("127.0.0.1", port))
    running = RunningApp(f"http://127.0.0.1:{listener.getsockname()[1]}", settings)

    @asynccontextmanager
    async def services() -> AsyncGenerator[GatewayContainer, None]:
        engine = build_language_model(settings.language_model, settings.cache)
        voice = build_text_to_speech(settings.text_to_speech, settings.cache)
        transcribers = Transcribers(
            build_speech_to_text(settings.speech_to_text, settings.cache),
            build_quality_speech_to_text(settings.quality_speech_to_text, settings.cache),
        )
        running.engines = {
            "language_model": engine,
            "text_to_speech": voice,
            "speech_to_text": transcribers.realtime,
            "quality_speech_to_text": transcribers.quality,
        }
        models = Engines(
            CoalescingLanguageModel(
                open_language_model(engine, settings.language_model), settings.language_model.coalesce_ms
            ),
            await open_speaker(voice, settings.text_to_speech),
        )
        running.loop = asyncio.get_running_loop()
        async with open_services(settings, models, transcribers, {}) as opened:
            running.services = opened
            async with anyio.create_task_group() as beside:
                if workers:
                    beside.start_soon(run_workers, settings)
                yield opened
                beside.cancel_scope.cancel()
        await models.language_model.aclose()
        await models.speaker.aclose()
        await transcribers.realtime.aclose()
        await transcribers.quality.aclose()

    app = create_app(services, body_bytes=settings.limits.body_bytes)
    if settings.log.embedded:
        embedded_server.ensure(settings.home, settings.log)
    try:
        with serving(
            app,
            listener,
            "the application",
            stop_s=15,
            log_level="warning",
            lifespan="on",
            ws="websockets-sansio",
            timeout_graceful_shutdown=2,
        ):
            yield running
    finally:
        if settings.log.embedded:
            embedded_server.stop(settings.home)


def app_fixture(
    scope: Literal["module", "package", "session"] = "module", *, with_workers: bool = False, **settings: Any
) -> Any:
    """A fixture that is a running application, with a home of its own; `settings`: of `scripted_settings`."""

    @pytest.fixture(scope=scope)
    def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
        home = tmp_path_factory.mktemp("app")
        with running_app(scripted_settings(home, **settings), workers=with_workers) as running:
            yield running

    return app
