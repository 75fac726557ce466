"""The whole application with vLLM, on a Ray of its own; this process has no vLLM."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray import serve

from cluster.local import ray_host
from deployments.app import APPLICATION, build
from deployments.replicas.language_model import RemoteLanguageModel
from pipeline.engines.llm.vllm.vllm_environment import vllm_python
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import LanguageModelSettings
from tests.engines_vllm.adapters import write_adapter
from tests.support.running_app import scripted_settings


@dataclass(frozen=True, slots=True)
class Application:
    """Address of the application, and the way past the gateway to its language model."""

    url: str
    handle: Any

    @property
    def model(self) -> RemoteLanguageModel:
        return RemoteLanguageModel(self.handle)

    async def open_streams(self) -> int:
        """Requests in the engine, by its own count."""
        answer: int = await self.handle.options(method_name="open_streams", _by_reference=False).remote()
        return answer


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    home = tmp_path_factory.mktemp("vllm")
    model = LanguageModelSettings(
        engine="vllm", slots=4, kv_cache_mb=256, loras={"pirate": write_adapter(home / "pirate")}
    )
    python = vllm_python(model)
    if python is None or not python.is_file():
        pytest.skip('vLLM\'s environment is not made: "make env-vllm"')
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = scripted_settings(home / "home", gateway={"direct_port": port}).model_copy(
        update={"language_model": model, "cache": Path("~/.cache/rhapsode").expanduser()}
    )
    folder = ray_host.folder_for(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    embedded_server.ensure(settings.home, settings.log)
    try:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 * 1024 * 1024,
            _temp_dir=str(folder),
            namespace="serve",
            log_to_driver=False,
        )
        serve.start(proxy_location="Disabled")
        serve.run(build(settings), name=APPLICATION)
        handle = serve.get_deployment_handle("LanguageModel", APPLICATION)
        yield Application(f"http://127.0.0.1:{port}", handle)
    finally:
        engines = engine_processes()
        ray_host.stop()
        embedded_server.stop(settings.home)
        psutil.wait_procs(engines, timeout=30)
        assert not alive(engines), "an engine outlived its replica"


def replica_process() -> psutil.Process:
    """The language model's replica; a child of this process's Ray."""
    (found,) = _called(f"ray::ServeReplica:{APPLICATION}:LanguageModel")
    return found


def engine_processes() -> list[psutil.Process]:
    """vLLM's own, which calculate; children of the replica."""
    return _called("VLLM::EngineCore")


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def _called(title: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(title):
                found.append(process)
    return found
