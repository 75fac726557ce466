"""The deployment as the application makes it, on a Ray of its own; this process has no WhisperX."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray import serve

from cluster.local import ray_host
from deployments.app import _mind, _speech_to_text
from pipeline.engines.speech_environment import whisperx_python
from schemas.settings import AppSettings
from schemas.settings.listening_settings import QualitySpeechToTextSettings

SETTINGS = QualitySpeechToTextSettings(engine="whisperx", batch=4, batch_wait_s=0.05, beam=1, queued=16)


@pytest.fixture(scope="session")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    python = whisperx_python(SETTINGS)
    if python is None or not python.is_file():
        pytest.skip('WhisperX\'s environment is not made: "make env-speech-gpu"')
    folder = ray_host.folder_for(tmp_path_factory.mktemp("whisperx"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 1024 * 1024,
        _temp_dir=str(folder),
        namespace="serve",
        log_to_driver=False,
    )
    try:
        serve.start(proxy_location="Disabled")
        settings = AppSettings(quality_speech_to_text=SETTINGS, cache=Path("~/.cache/rhapsode").expanduser())
        yield serve.run(_speech_to_text(settings, _mind(settings))[1], name="whisperx", route_prefix=None)
    finally:
        ray_host.stop()


def replica_process() -> psutil.Process:
    """The process that decodes; a child of this process's Ray."""
    found = [
        process
        for process in psutil.Process().children(recursive=True)
        if " ".join(process.cmdline()).startswith("ray::ServeReplica:whisperx:QualitySpeechToText")
    ]
    assert len(found) == 1
    return found[0]
