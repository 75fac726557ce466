"""Ray is started again where the machine was too busy for it, and only then."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster import ray_host
from cluster.accelerators import Accelerators
from cluster.problems import CliError

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
def test_what_does_not_help_is_told(
    failures: list[str], tries: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = Ray(*failures)
    with pytest.raises(CliError, match=failures[0]) as told:
        starting(ray, folder, monkeypatch)
    assert len(ray.begun) == tries
    assert str(folder) in told.value.advice
