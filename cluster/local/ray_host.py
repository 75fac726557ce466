"""A Ray of our own on this machine, with Serve and the application in it."""

import hashlib
import io
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import psutil
import ray
from ray import serve
from ray._private import parameter, ray_constants, services
from ray.serve._private.application_state import StatusOverview
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from cluster.checks.accelerators import Accelerators
from cluster.local import process_sweep
from cluster.local.process_logs import cause, cause_in_log
from cluster.terminal.cli_errors import CliError

_OBJECT_STORE_BYTES: Final = 150 * 1024 * 1024
_DEPLOY_S: Final = 900.0
"""A large language model is fetched, loaded and warmed up meanwhile."""
_POLL_S: Final = 0.25
_TRIES: Final = 3
_TOO_LATE: Final = "timed out during startup"


def folder_for(home: Path) -> Path:
    """Folder of this home's Ray sockets and logs: short, because a socket's path may have 107 bytes."""
    name = hashlib.blake2b(os.fsencode(home), digest_size=4).hexdigest()
    return Path("/tmp") / f"rhapsode-{os.getuid()}" / f"ray-{name}"


def start(
    folder: Path, config: ServeDeploySchema, host: str, port: int, gpus: Accelerators | None = None
) -> None:
    """Start Ray and Serve; nothing listens outside this machine but `host`:`port`.

    That address is the gateway's own listener. Serve's Python proxy, which costs 2 ms and a process switch
    for each WebSocket frame, does not run.
    """
    os.environ["RHAPSODE_GATEWAY__DIRECT_HOST"] = host
    os.environ["RHAPSODE_GATEWAY__DIRECT_PORT"] = str(port)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if folder.parent.stat().st_uid != os.getuid():
        raise CliError(f"{folder.parent} belongs to another user.", "Ask them to remove it.")
    _start_patiently(folder, gpus or Accelerators())
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(proxy_location="Disabled", logging_config=config.logging_config)


def _start_patiently(folder: Path, gpus: Accelerators) -> None:
    """Ray gives its node half a minute, always: a starved machine needs more. Raises CliError."""
    ours = psutil.Process().children(recursive=True)
    for tries in range(1, _TRIES + 1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            return _start_ray(folder, gpus)
        except Exception as error:  # Ray raises a bare Exception when its node does not come up
            if tries == _TRIES or _TOO_LATE not in str(error):
                advice = "Was the machine just very busy? Else Ray's own log says why: rhapsode logs ray."
                raise CliError(f"Ray did not start: {error}", advice) from error
            # Processes that it had started go on without it, and the next try would meet it.
            family = psutil.Process().children(recursive=True)
            process_sweep.end([process for process in family if process not in ours])


def _start_ray(folder: Path, gpus: Accelerators) -> None:
    """Raises CliError rather than start a Ray that listens on every network."""
    if ray_constants.ENABLE_RAY_CLUSTER:
        raise CliError("Ray was imported before it was told to listen on the loopback only.")
    with _without_helpers():
        ray.init(
            _node_ip_address="127.0.0.1",
            address="local",
            num_cpus=max(gpus.num_cpus, os.cpu_count() or 2),
            num_gpus=gpus.count,
            resources=gpus.kinds,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=str(folder),
            namespace="serve",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


@contextmanager
def _without_helpers() -> Iterator[None]:
    """Keeps `ray.init` from starting the autoscaler's monitor, the monitor of log files and the API server.

    Nothing here uses them. `ray start` has switches for the first two, `ray.init` has none; without a
    dashboard the API server (120 MB) only sends usage statistics, which are switched off.
    """
    params, api_server = parameter.RayParams, services.start_api_server
    quiet = {"include_log_monitor": False, "no_monitor": True}
    parameter.RayParams = partial(params, **quiet)  # type: ignore[misc, assignment, arg-type]
    services.start_api_server = lambda *_, **__: (None, None)
    try:
        yield
    finally:
        parameter.RayParams, services.start_api_server = params, api_server  # type: ignore[misc]


def deploy(
    config: ServeDeploySchema,
    note: Callable[[str], None],
    *,
    logs: Path | None = None,
    patience_s: float = _DEPLOY_S,
) -> None:
    """Deploy the file as `serve deploy` would, and wait until everything is healthy.

    The controller is asked for this application alone: `serve.status` makes 50 ms of work of each question,
    which the replicas that are starting would wait for.
    `logs`: what Ray's processes of this machine write, where it holds those of all replicas.
    """
    name = config.applications[0].name
    client = _get_global_client()
    assert client is not None
    client.deploy_apps(config)
    deadline = monotonic() + patience_s
    while monotonic() < deadline:
        found = client.get_serve_status(name)
        note(" · ".join(f"{part} {state}" for part, state in _states(found).items()))
        if found.app_status.status == ApplicationStatus.RUNNING:
            return
        if found.app_status.status == ApplicationStatus.DEPLOY_FAILED:
            raise CliError(_reason(found, logs), "Correct that, and try again.")
        sleep(_POLL_S)
    raise CliError(f"The deployments were not ready after {patience_s:.0f} s.", "Is the machine very busy?")


def is_alive() -> bool:
    """Whether both processes run without which this process' Ray ends: its raylet and its GCS."""
    running = set()
    for process in psutil.Process().children():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                running.add(process.name())
        except psutil.Error:
            continue
    return {"raylet", "gcs_server"} <= running


def replicas(name: str) -> dict[str, str]:
    """Returns Serve's status of each deployment."""
    client = _get_global_client()
    assert client is not None
    return _states(client.get_serve_status(name))


def stop() -> None:
    """Let Serve drain its replicas, then end Ray. Without a raylet or GCS both calls would wait for ever."""
    if not ray.is_initialized() or not is_alive():
        return
    with redirect_stdout(io.StringIO()):  # Ray reports the controller's wanted death as a failure
        try:
            serve.shutdown()
        finally:
            ray.shutdown()


def _states(application: StatusOverview) -> dict[str, str]:
    return {part.name: part.status.value.lower() for part in application.deployment_statuses}


def _reason(application: StatusOverview, logs: Path | None) -> str:
    """Which deployment did not start, and why: the innermost cause of what Serve reports."""
    for part in application.deployment_statuses:
        if part.message and part.status.value != "HEALTHY":
            found = cause(part.message) or (cause_in_log(logs, part.name) if logs is not None else "")
            return f"{part.name} did not start: {found or part.message.splitlines()[-1].strip()}"
    message = application.app_status.message
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    reason = cause(message) or (lines or ["no reason given"])[-1]
    return f"The application did not start: {reason}"
