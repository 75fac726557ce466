"""`rhapsode down`: end what runs in this home, from any terminal, also after a crash."""

from pathlib import Path
from time import monotonic, sleep
from typing import Final

import psutil

from cluster.local import process_sweep
from cluster.terminal import run_state
from cluster.terminal.console import Steps
from cluster.terminal.run_state import RunState

_POLITE_S: Final = 40.0
_POLL_S: Final = 0.1


def run(steps: Steps) -> None:
    """Ask the running `up` to stop; if there is none, end what a crash left behind."""
    home = run_state.home()
    running, launcher = _find(home)
    if launcher is None and run_state.is_running(home):
        with steps.step("Waiting for a start that has not said yet what it starts"):
            while launcher is None and run_state.is_running(home):
                sleep(_POLL_S)
                running, launcher = _find(home)
    if running is not None and launcher is not None:
        with steps.step("Stopping") as note:
            _stop_launcher(home, launcher)
            note(f"the system at {running.url}")
    if left := process_sweep.sweep(home):
        steps.say(
            f"Ended {left} {'process' if left == 1 else 'processes'} that a crashed run had left behind."
        )
    elif running is None:
        steps.say("Nothing was running.")


def _find(home: Path) -> tuple[RunState | None, psutil.Process | None]:
    """The state of the last `up`, and its process where it lives."""
    state = run_state.read(home)
    return state, None if state is None else state.launcher.find()


def _stop_launcher(home: Path, launcher: psutil.Process) -> None:
    launcher.terminate()
    deadline = monotonic() + _POLITE_S
    while monotonic() < deadline and run_state.is_running(home):
        sleep(_POLL_S)
    if launcher.is_running():
        process_sweep.end([launcher, *launcher.children(recursive=True)])
