"""Ray is started again where the machine was too busy for it, and only then."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ray.serve._private.application_state import ApplicationStatus, ApplicationStatusInfo, StatusOverview
from ray.serve._private.common import DeploymentStatus, DeploymentStatusInfo, DeploymentStatusTrigger

from cluster.checks.accelerators import Accelerators
from cluster.local import ray_host
from cluster.terminal.cli_errors import CliError

LATE = "The current node timed out during startup."


class Ray:
    """Fails with these words, one try after the other, leaving a process behind each time; then starts."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)
        self.begun: list[psutil.Process] = []

    def __call__(self, folder: Path, _: Accelerators) -> None:
        assert not list(folder.iterdir()), "what the try before left is in the way"
        (folder / "session").touch()
        assert not any(process.is_running() for process in self.begun)
        left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.begun.append(psutil.Process(left.pid))
        if self.failures:
            raise Exception(self.failures.pop(0))  # noqa: TRY002 - as Ray does


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ray"


def starting(ray: Ray, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_host, "_start_ray", ray)
    try:
        ray_host._start_patiently(folder, Accelerators())
    finally:
        for process in ray.begun[-1:]:
            process.kill()
            process.wait()


def test_a_node_that_was_late_is_started_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(LATE, LATE)
    starting(ray, folder, monkeypatch)
    assert len(ray.begun) == 3


@pytest.mark.parametrize(("failures", "tries"), [([LATE] * 3, 3), (["No such port."], 1)])
def test_a_failed_start_is_told_when_another_try_does_not_help(
    failures: list[str], tries: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = Ray(*failures)
    with pytest.raises(CliError, match=failures[0]) as told:
        starting(ray, folder, monkeypatch)
    assert len(ray.begun) == tries
    assert "rhapsode logs ray" in told.value.advice


def replica_failed(cause: str) -> str:
    """As Serve tells it: a traceback as the message of another exception, in a third one's traceback."""
    return f"""The deployment failed to start 6 times in a row. See controller logs for details. Error:
ray::ServeReplica:rhapsode:LanguageModel.initialize_and_get_metadata() (pid=1, ip=127.0.0.1)
  File "replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "replica.py", line 1867, in initialize
    await self._user_callable_wrapper.initialize_callable()
{cause}"""


GATEWAY = "RuntimeError: ASGI lifespan startup failed. Check replica logs for details."
INNER = """ModuleNotFoundError: No module named 'no'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "house.py", line 50, in _opened
ValueError: tools.functions.fly: there is no no.such:thing
"""


@pytest.mark.parametrize(
    ("part", "message", "said"),
    [
        (
            "LanguageModel",
            replica_failed(
                "pipeline.engines.registry.UnknownEngine: There is no engine 'gpt4'; there are: llama."
            ),
            "LanguageModel did not start: UnknownEngine: There is no engine 'gpt4'; there are: llama.",
        ),
        (
            "Gateway",
            replica_failed(GATEWAY),
            "Gateway did not start: ValueError: tools.functions.fly: there is no",
        ),
        ("Workers", "It died.", "Workers did not start: It died."),
    ],
)
def test_a_failed_deployment_is_told_by_its_cause(part: str, message: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve/replica_rhapsode_Gateway_x2k9.log").write_text(
        f"Traceback:\n{INNER}ERROR: {GATEWAY}\n"
    )
    trigger = DeploymentStatusTrigger.UNSPECIFIED
    parts = [
        DeploymentStatusInfo("Librarian", DeploymentStatus.HEALTHY, trigger),
        DeploymentStatusInfo(part, DeploymentStatus.DEPLOY_FAILED, trigger, message),
    ]
    whole = ApplicationStatusInfo(ApplicationStatus.DEPLOY_FAILED, "Failed to update.")
    application = StatusOverview(whole, deployment_statuses=parts)
    assert ray_host._reason(application, tmp_path).startswith(said)
