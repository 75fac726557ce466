"""`rhapsode down` after a crash: which processes end."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.local import process_sweep
from cluster.terminal import run_state
from cluster.terminal.run_state import Process, RunState

_PARENT = """
import subprocess, sys
sys.stdin.readline()
print(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.mark.server
def test_a_process_that_started_after_its_parent_was_noted_ends_with_it(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    of_parent = Process.of(psutil.Process(parent.pid))
    state = RunState(launcher=of_parent, url="", application="", ray_folder="", processes=(of_parent,))
    run_state.write(tmp_path, state)
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("\n")
    parent.stdin.flush()
    child = psutil.Process(int(parent.stdout.readline()))
    assert process_sweep.sweep(tmp_path) == 2
    assert not child.is_running()
    assert run_state.read(tmp_path) is None
