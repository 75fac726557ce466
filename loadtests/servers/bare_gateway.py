"""A gateway with scripted engines in one process, without Ray: what is our own, and not Ray's."""

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from loadtests.servers.rhapsode_process import child_process, free_port
from pipeline.engines.ports import ChatRequest, Message, OpusChunk
from pipeline.engines.registry import build_language_model, build_text_to_speech
from pipeline.engines.routed_language_model import CoalescingLanguageModel
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings


def scripted_settings(
    home: Path, script: Path, voice: Path | None = None, **branches: Mapping[str, Any]
) -> AppSettings:
    """Every engine is scripted; `branches`: other branches of the settings."""
    return AppSettings.model_validate(
        {
            "home": home,
            "cache": home / "cache",
            "language_model": {"engine": "scripted", "script": script},
            "text_to_speech": {"engine": "scripted", "script": voice},
            "speech_to_text": {"engine": "scripted"},
            "quality_speech_to_text": {"engine": "scripted"},
            **branches,
        }
    )


@contextmanager
def bare_gateway(settings: AppSettings) -> Iterator[str]:
    """With the engines of the settings, in its own process. Yields its URL; it ends with its log server."""
    home, port = settings.home, free_port()
    home.mkdir(parents=True, exist_ok=True)
    gateway = settings.gateway.model_copy(update={"direct_port": port})
    file = home / "settings.json"
    file.write_text(settings.model_copy(update={"gateway": gateway}).model_dump_json())
    command = [sys.executable, "-m", "loadtests.servers.scripted_gateway", str(file)]
    try:
        with child_process(
            command,
            home / "gateway.txt",
            lambda pid: (home / f"ready-{pid}").exists(),
            environment={"RHAPSODE_HOME": str(home)},
            ends_with=signal.SIGKILL,
        ):
            yield f"http://127.0.0.1:{port}"
    finally:
        embedded_server.stop(home)


async def scripted_cpu(script: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Processor seconds of the scripted engines themselves: for a delta, for a second of sound.

    They run in the gateway's process here, and in replicas of their own everywhere else.
    """
    file = folder / "quick.json"
    file.write_text(json.dumps(script | {"per_delta_ms": 0}))
    settings = scripted_settings(folder, file)
    model = build_language_model(settings.language_model, folder)
    merged = CoalescingLanguageModel(model, 0)
    request = ChatRequest((Message("user", "long"),), max_tokens=4_096)
    cpu, deltas = time.process_time(), 0
    async with aclosing(merged.stream(request)) as items:
        async for item in items:
            deltas += isinstance(item, str)
    each = (time.process_time() - cpu) / deltas
    voice = build_text_to_speech(settings.text_to_speech, folder)
    speaker = EncodingSpeaker(voice, settings.text_to_speech)
    cpu, sound_s = time.process_time(), 0.0
    for _ in range(5):
        async with aclosing(speaker.speak("word " * 100, voice="joe")) as sound:
            async for chunk in sound:
                sound_s += chunk.ms / 1_000 if isinstance(chunk, OpusChunk) else 0
    return each, (time.process_time() - cpu) / sound_s
