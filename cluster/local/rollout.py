"""Another configuration for a system that runs, without an interruption; and gateways that are sent away."""

import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from cluster.local import process_logs
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError, NotRunning
from cluster.terminal.console import Steps
from cluster.terminal.requests import ask
from cluster.terminal.run_state import RunState

log = logging.getLogger(__name__)

_RELOAD_S: Final = 960.0
"""A little more than what is deployed is given (cluster/local/ray_host.py)."""
_LEAVE_S: Final = 120.0
_POLL_S: Final = 0.1


def deploy_again(state: RunState, file: Path | None, steps: Steps) -> RunState:
    """In the process of `up`: read the file once more and let Serve change what has to be changed."""
    from cluster.checks.config import default_file, load
    from cluster.local import ray_host
    from cluster.local.launch import prepare_weights

    failure = ""
    try:
        config = load(file or default_file())
        prepare_weights(config, steps)  # Serve stops the only replica of a model before it starts the next
        with steps.step("Reload") as note:
            ray_host.deploy(config.serve, note, logs=process_logs.folder(run_state.home()))
    except CliError as error:
        failure = f"{error} {error.advice}".strip()
    except Exception as error:  # the running system outlives any error of the file or of Ray
        log.exception("reloading")
        failure = f"The reload failed: {type(error).__name__}: {error}"
    return state.model_copy(update={"reloads": state.reloads + 1, "reload_trouble": failure})


def ask_for_reload() -> str:
    """In any process: have it done, and wait until it is. Raises CliError."""
    home = run_state.home()
    before = run_state.running(home)
    launcher = None if before is None else before.launcher.find()
    if before is None or launcher is None:
        raise NotRunning
    os.kill(launcher.pid, signal.SIGHUP)
    deadline = monotonic() + _RELOAD_S
    while monotonic() < deadline:
        now = run_state.running(home)
        if now is None:
            raise NotRunning
        if now.reloads > before.reloads:
            if now.reload_trouble:
                raise CliError(now.reload_trouble, "rhapsode status says what runs.")
            return now.url
        sleep(_POLL_S)
    raise CliError("It takes very long.", "See rhapsode status.")


def gateways(url: str) -> list[dict[str, Any]]:
    """All that are there, the oldest first."""
    found: list[dict[str, Any]] = ask(url, "GET", "/v1/gateways")["gateways"]
    return found


def send_away(url: str, names: Sequence[str], steps: Steps) -> None:
    """One after the other, each when there is somebody to go to. Raises CliError."""
    alone = len(gateways(url)) == 1
    for name in names:
        with steps.step(f"Gateway {name}") as note:
            if not alone:
                note("waiting for another one")
                _await_another(url, name)
            ask(url, "POST", f"/v1/gateways/{name}/drain")
            note(_await_leaving(url, name))


def _await_another(url: str, name: str) -> None:
    """Return when a gateway that stays is there: what has left comes back as a new one, after a while."""
    deadline = monotonic() + _LEAVE_S
    while monotonic() < deadline:
        with suppress(CliError):
            if any(one["gateway"] != name and not one["leaving"] for one in gateways(url)):
                return
        sleep(_POLL_S)
    raise CliError(
        f"{name} would leave nobody behind.", "Nothing took the place of those that left: rhapsode status."
    )


def _await_leaving(url: str, name: str) -> str:
    deadline = monotonic() + _LEAVE_S
    while monotonic() < deadline:
        try:
            there = {one["gateway"]: one for one in gateways(url)}
        except CliError:
            there = {name: {}}  # the port is with another gateway in a moment
        else:
            ours = there.get(name)
            if ours is None or (ours["leaving"] and not ours["turns"] and not ours["listeners"]):
                return "everything that was there is elsewhere"
        sleep(_POLL_S)
    raise CliError(f"{name} is still busy after {_LEAVE_S:.0f} s.", "See rhapsode status.")
