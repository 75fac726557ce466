"""The whole application on a Ray of its own, started as an operator would: `rhapsode up --detach`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cluster.terminal import run_state
from cluster.terminal.run_state import RunState
from tests.support.servers.trace_collector import Collector, collector

STORY = "The keeper lit the lamp, and the fox watched the sea until the morning came. " * 6

HANG = "hang"
"""Where this file is beside the home, the next answer makes the language model hang."""
_STARTED_BY = "TESTS_THAT_STARTED_IT"
"""Another system on this machine, somebody's own, is nothing that a test may kill."""
_THESE_TESTS = str(os.getpid())

Rhapsode = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="package")
def collecting() -> Iterator[Collector]:
    """Told the traces of the system."""
    with collector() as found:
        yield found


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory, collecting: Collector) -> dict[str, str]:
    home = tmp_path_factory.mktemp("serve")
    script = home / "script.json"
    told = {"reply": STORY, "delta_chars": 5, "per_delta_ms": 35, "hurries": False, "hang": str(home / HANG)}
    script.write_text(json.dumps(told))
    own = {
        _STARTED_BY: _THESE_TESTS,
        "RHAPSODE_HOME": str(home / "home"),
        "RHAPSODE_CACHE": str(home / "cache"),
        "RHAPSODE_LANGUAGE_MODEL__SCRIPT": str(script),
        "RHAPSODE_LANGUAGE_MODEL__STALL_S": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        # How busy the machine is that runs the tests must not decide who is let in.
        "RHAPSODE_LIMITS__ADMISSION": '{"slowdown": null}',
        "RHAPSODE_LOGGING__FORMAT": "json",
        "RHAPSODE_LOGGING__LEVEL": "INFO",
    }
    return {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | own


@pytest.fixture(scope="package")
def rhapsode(environment: dict[str, str]) -> Iterator[Rhapsode]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.cli.main", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=900, check=False
        )

    yield run
    run("down")
    assert not replicas("Gateway"), "a replica outlived its system"


@pytest.fixture(scope="package")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the system runs with; a test may change it."""
    return Path(shutil.copy("serve_config.yaml", tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="package")
def running(rhapsode: Rhapsode, environment: dict[str, str], config: Path) -> RunState:
    """Started once for all tests: that takes half a minute, on a busy machine minutes."""
    started = rhapsode("up", "--scripted", "--detach", "--config", str(config))
    assert started.returncode == 0, started.stdout + started.stderr
    found = run_state.running(Path(environment["RHAPSODE_HOME"]))
    assert found is not None
    assert found.url in started.stdout
    return found


@pytest.fixture(scope="package")
def url(running: RunState) -> str:
    return running.url.rstrip("/")


def replicas(deployment: str) -> list[psutil.Process]:
    """The live replica processes of one deployment of the system that these tests started."""
    found = []
    for process in psutil.process_iter(["cmdline", "create_time"]):
        title = " ".join(process.info["cmdline"] or [])
        if title.startswith(f"ray::ServeReplica:rhapsode:{deployment}") and _is_ours(process):
            found.append(process)
    return found


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.environ().get(_STARTED_BY) == _THESE_TESTS
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
