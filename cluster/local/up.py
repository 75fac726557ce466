"""`rhapsode up`: start everything, say where it is, wait, stop everything."""

import os
import secrets
import shutil
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from cluster.checks.exposure import OPEN
from cluster.local import process_logs, process_sweep
from cluster.local.stop_signals import StopSignals
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from cluster.terminal.run_state import RunState, StartParams
from pipeline.core.private_files import write_file

_LOOK_S: Final = 5.0
_SILENT_S: Final = 60.0
"""Serve's controller may be replaced meanwhile; after that its silence is shown."""
_RAY: Final[Mapping[str, str]] = {
    # The name hides what 0 does: everything inside Ray listens on 127.0.0.1 instead of on every network.
    # Read when Ray is imported, so nothing that this module imports at its top may import Ray.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # A client of any of Ray's ports must show the token of this start: Ray runs what it is sent.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Clients come to the gateways' own port, whatever the environment says that clusters are started in.
    "RAY_SERVE_ENABLE_HA_PROXY": "0",
    # The controller looks twice a second instead of ten times: a few per cent of a core less when idle.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    # A laptop may be busy when it starts us; Ray would give up after half a minute.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    # Ray's 15 has replicas wait for whatever else runs on the machine; somebody waits for ours to speak.
    "RAY_worker_niceness": "0",
    # Tokens and cookies of a WebSocket's handshake may be longer than 8 KB.
    "WEBSOCKETS_MAX_LINE_LENGTH": "65536",
}
"""Must be there before Ray is imported."""
_RAYS_NUMBERS: Final[Mapping[str, str]] = {
    # Serve hands its counters on every five seconds instead of ten times a second, in every replica.
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",
    # Ray counts for its dashboard, which does not run here; GET /metrics has our own numbers.
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
    # Ray starts a worker for each core beforehand, 80 MB each, and keeps those that nothing takes.
    "RAY_prestart_worker_first_driver": "0",
    # The raylet looks at memory four times a second, and at its object store ten times.
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_object_manager_timer_freq_ms": "1000",
}
"""As `_RAY`, where the environment does not say otherwise: how often Ray does what nobody waits for."""


class RayDied(Exception):
    """Ray's raylet or GCS ended, so that the system ends too. `port`: where it listened."""

    def __init__(self, port: int) -> None:
        super().__init__("Ray ended unexpectedly")
        self.port = port


def run(wish: StartParams, steps: Steps) -> None:
    """Start everything, say where it is, wait for Ctrl-C or SIGTERM, stop everything.

    Where Ray dies this process stops what is left and executes itself anew, with the same number and port.
    """
    try:
        _run(wish, steps)
    except RayDied as died:
        with suppress(ChildProcessError):  # after execv nobody would wait for those that ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        again = [sys.executable, *sys.orig_argv[1:]]
        os.execv(sys.executable, again if wish.port else [*again, "--port", str(died.port)])


def _run(wish: StartParams, steps: Steps) -> None:
    home = run_state.home()
    with run_state.only_one(home) as free:
        if not free:
            _point_to_the_other(home, steps, wish)
            return
        stop = StopSignals()
        _prepare_ray(home)
        from cluster.local.launch import everything  # takes seconds: it knows Ray
        from cluster.local.ray_host import folder_for

        process_sweep.sweep(home)
        process_logs.keep(home, folder_for(home))  # logs of a run that has crashed
        _settle_environment(home, wish)
        try:
            with everything(home, wish, steps, stop) as running:
                steps.say(f"\nRhapsode is ready: [bold]{running.url}[/bold]")
                if running.open:
                    steps.say(OPEN)
                steps.say("Ctrl-C stops it.")
                _watch(home, running, steps, stop, wish)
        except (KeyboardInterrupt, SystemExit):
            pass
        except RayDied:
            with suppress(OSError):
                run_state.write(
                    home, running.model_copy(update={"ready": False})
                )  # `down` finds this process
            raise
        except CliError as error:
            raise _with_logs(error, home, folder_for(home)) from error
        finally:
            process_logs.keep(home, folder_for(home))
            shutil.rmtree(folder_for(home), ignore_errors=True)
        steps.say("Stopped.")


def _with_logs(error: CliError, home: Path, ray_folder: Path) -> CliError:
    """The same error, and where the logs are if anything of Ray has written some."""
    if not (ray_folder / "session_latest").exists():
        return error
    advice = f"{error.advice} Logs: rhapsode logs, or {process_logs.folder(home)}.".strip()
    return CliError(str(error), advice, status=error.status)


def _point_to_the_other(home: Path, steps: Steps, wish: StartParams) -> None:
    """Raises CliError for a wish that the running system was not started with."""
    other = run_state.read(home)
    if other is not None:
        run_state.refuse_other_wishes(wish, other)
    if other is not None and other.ready:
        steps.say(f"Rhapsode is running already: [bold]{other.url}[/bold]")
    else:
        steps.say("Another terminal is starting Rhapsode; rhapsode status says how far it is.")


def _prepare_ray(home: Path) -> None:
    """Sets what Ray reads when it is imported, with a new token that only this user can read."""
    token = home / "ray-token"
    write_file(token, secrets.token_hex(32))
    os.environ.pop("RAY_AUTH_TOKEN", None)  # would win over the file
    os.environ.update(_RAY, RAY_AUTH_TOKEN_PATH=str(token))
    for name, value in _RAYS_NUMBERS.items():
        os.environ.setdefault(name, value)


def _settle_environment(home: Path, wish: StartParams) -> None:
    """Sets variables that replicas share with this process in any folder. Called before any start."""
    os.environ["RHAPSODE_HOME"] = str(home)
    if cache := os.environ.get("RHAPSODE_CACHE"):
        os.environ["RHAPSODE_CACHE"] = str(Path(cache).expanduser().absolute())
    if wish.scripted:
        for engine in ("LANGUAGE_MODEL", "TEXT_TO_SPEECH", "SPEECH_TO_TEXT", "QUALITY_SPEECH_TO_TEXT"):
            os.environ[f"RHAPSODE_{engine}__ENGINE"] = "scripted"


def _watch(home: Path, state: RunState, steps: Steps, stop: StopSignals, wish: StartParams) -> None:
    """Waits for a signal and tells when a replica is replaced. Raises RayDied.

    A disk that is full takes neither words nor notes, and ends nothing.
    """
    from cluster.local import ray_host, rollout
    from cluster.local.launch import note_down

    look, silent_s, noted = _Look(state.application), 0.0, True
    while not stop.wait(_LOOK_S):
        if not ray_host.is_alive():
            _say(steps, "Ray ended unexpectedly. Starting everything again.")
            raise RayDied(httpx.URL(state.url).port or 80)
        if stop.take_reload():
            state, noted = rollout.deploy_again(state, wish.config, steps), False
        if (now := look.take()) is None:
            silent_s += _LOOK_S
            if silent_s == _SILENT_S:
                _say(
                    steps, "Ray Serve's controller has not answered for a minute; replicas are not replaced."
                )
        else:
            silent_s = 0.0
            if now != state.replicas:
                _say(steps, " · ".join(f"{name} {status}" for name, status in now.items()))
                state, noted = state.model_copy(update={"replicas": now}), False
        if not noted:
            with suppress(OSError):  # tried again with the next look
                state, noted = note_down(home, state), True


def _say(steps: Steps, text: str) -> None:
    with suppress(OSError):
        steps.say(text)


class _Look:
    """Asks Serve for its replicas in threads: with a dead or frozen controller the call never returns."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._thread: threading.Thread | None = None
        self._found: dict[str, str] | None = None

    def take(self) -> dict[str, str] | None:
        """The answer to the question before, None where there is none; asks the next one."""
        if self._thread is not None and self._thread.is_alive():
            return None
        found, self._found = self._found, None
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return found

    def _ask(self) -> None:
        from cluster.local import ray_host

        with suppress(Exception):  # Ray raises of many kinds
            self._found = ray_host.replicas(self._application)
