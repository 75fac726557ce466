"""`rhapsode up --detach`: the same `up` in a process of its own; returns when it is ready."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Final

from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps

_POLL_S: Final = 0.1


def start(arguments: Sequence[str], steps: Steps) -> str:
    """The URL of the running system, after starting it where it does not run yet."""
    home = run_state.home()
    if running := run_state.running(home):
        return running.url
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    output = home / "up.log"
    with steps.step("Starting in the background") as note, output.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "cluster.cli.main", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        while child.poll() is None:
            if running := run_state.running(home):
                note(f"process {running.launcher.pid}, output in {output}")
                return running.url
            note(_last_line(output))
            sleep(_POLL_S)
    if running := run_state.running(home):  # another process was quicker
        return running.url
    raise CliError(f"It did not start:\n{_tail(output)}", "Correct that, or see rhapsode doctor.")


def _tail(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-6:])


def _last_line(output: Path) -> str:
    return _tail(output).rpartition("\n")[2].strip()
