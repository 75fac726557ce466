"""`rhapsode down` while `up` has no state that others can read: it starts, or starts again."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from cluster.local import down
from cluster.terminal import run_state
from cluster.terminal.console import Steps
from cluster.terminal.run_state import Process, RunState

pytestmark = pytest.mark.server

_LAUNCHER = """
import sys
from pathlib import Path
from cluster.terminal import run_state
if len(sys.argv) > 1:
    with run_state.only_one(Path(sys.argv[1])) as free:
        print(free, flush=True)
        sys.stdin.readline()
else:
    print(True, flush=True)
    sys.stdin.readline()
"""


def launcher(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that stands for an `up`; with a home it holds the home's lock."""
    command = [sys.executable, "-c", _LAUNCHER, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def starting(home: Path) -> Iterator[subprocess.Popen[str]]:
    yield from launcher(str(home))


@pytest.fixture
def restarting() -> Iterator[subprocess.Popen[str]]:
    yield from launcher()


def note(home: Path, process: subprocess.Popen[str]) -> None:
    of_process = Process.of(psutil.Process(process.pid))
    run_state.write(home, RunState(launcher=of_process, url="http://here/", application="", ray_folder=""))


def test_an_up_that_has_not_written_its_state_yet_is_waited_for_and_ends(
    home: Path, starting: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(down, "sleep", lambda _: note(home, starting))
    console = Console(record=True)
    down.run(Steps(console))
    starting.wait(10)  # raises where it lives
    assert run_state.read(home) is None
    assert "Waiting for a start" in console.export_text()


def test_an_up_that_starts_where_another_has_crashed_is_waited_for_and_ends(
    home: Path, starting: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rhapsode down` took the state of the crashed one for the whole truth, and the new one came up."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as crashed:
        note(home, crashed)
        crashed.kill()
    monkeypatch.setattr(down, "sleep", lambda _: note(home, starting))
    down.run(Steps(Console()))
    starting.wait(10)  # raises where it lives
    assert run_state.read(home) is None


def test_an_up_that_starts_again_and_has_not_taken_its_lock_yet_ends(
    home: Path, restarting: subprocess.Popen[str]
) -> None:
    """`rhapsode down` said that nothing was running, and half a minute later everything ran."""
    note(home, restarting)
    down.run(Steps(Console()))
    restarting.wait(10)  # raises where it lives
    assert run_state.read(home) is None
