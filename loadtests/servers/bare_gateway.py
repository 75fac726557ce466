"""A gateway with scripted engines in one process, without Ray: what is our own, and not Ray's."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtests.servers.rhapsode_process import child_process, free_port, written
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings


def scripted_settings(
    home: Path, script: Mapping[str, Any], voice: Mapping[str, Any], **branches: Mapping[str, Any]
) -> AppSettings:
    """Every engine is scripted, two by scripts that are written into `home`; `branches`: other settings."""
    files = written({"language_model": script, "text_to_speech": voice}, home)
    engines: dict[str, Any] = {branch: {"engine": "scripted", "script": files[branch]} for branch in files}
    engines |= {name: {"engine": "scripted"} for name in ("speech_to_text", "quality_speech_to_text")}
    return AppSettings.model_validate({"home": home, "cache": home / "cache", **engines, **branches})


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
