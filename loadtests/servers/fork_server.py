"""Processes that may be killed, forked from one that has imported everything, which takes seconds."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

_FORKS: Final = multiprocessing.get_context("forkserver")
# Modules that a gateway imports, also what it imports only when it begins. None of it may begin a thread.
_FORKS.set_forkserver_preload(
    [
        *("loadtests.servers.scripted_gateway", "loadtests.servers.preloaded_languages"),
        *("pipeline.engines.scripted", "uvicorn"),
    ]
)


def fork(module: str, *arguments: str, output: Path | None = None) -> ForkServerProcess:
    """As `python -m module arguments`, what it writes appended to `output`; it ends with us."""
    command = [module, *arguments]
    process = _FORKS.Process(target=_run, args=(command, output, dict(os.environ)), daemon=True)
    process.start()
    return process


def end(process: ForkServerProcess) -> None:
    """kill -9."""
    process.kill()
    process.join()


def _run(command: Sequence[str], output: Path | None, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)  # the nursery was begun earlier, maybe in another one
    if output is not None:
        with output.open("ab") as file:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(file.fileno(), stream.fileno())
    sys.argv[1:] = command[1:]
    sys.modules.pop(command[0], None)  # it is run anew
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
