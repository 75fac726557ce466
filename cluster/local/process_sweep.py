"""Finds and ends what an `up` started: by number and start time, never by a name that others may share."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from cluster.terminal import run_state
from cluster.terminal.run_state import Process, RunState

_GRACE_S: Final = 5.0


def descendants(of: psutil.Process) -> tuple[Process, ...]:
    """Every process below, the nearest first; those that end meanwhile are left out."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in of.children(recursive=True):
            with suppress(psutil.Error):
                found.append(Process.of(process))
    return tuple(found)


def left_over(run_state: RunState) -> list[psutil.Process]:
    """Finds processes of a run that is over, and those that they started after they were noted."""
    noted = [process for noted in run_state.processes if (process := noted.find())]
    started = [later.find() for process in noted for later in descendants(process)]
    return list(dict.fromkeys([*noted, *filter(None, started)]))


def sweep(home: Path) -> int:
    """End what a crashed run left behind; how many processes that were."""
    old = run_state.read(home)
    if old is None:
        return 0
    ended = end(left_over(old))
    if old.log_started:
        from pipeline.eventlog.redis.embedded import embedded_server

        ended += embedded_server.stop(home)
    run_state.clear(home)
    return ended


def end(processes: Sequence[psutil.Process], grace_s: float = _GRACE_S) -> int:
    """Ask each to end, make those that do not; how many there were."""
    _each(processes, "terminate")
    _, stubborn = psutil.wait_procs(processes, timeout=grace_s)
    _each(stubborn, "kill")
    psutil.wait_procs(stubborn, timeout=grace_s)
    return len(processes)


def _each(processes: Iterable[psutil.Process], action: str) -> None:
    for process in processes:
        try:
            getattr(process, action)()
        except psutil.NoSuchProcess:
            continue
