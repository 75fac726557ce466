"""Systems under measurement, each in processes of its own that are gone when the measurement ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx

_START_S: Final = 300.0
_STOP_S: Final = 40.0
Ready = Callable[[int], bool]
"""Given the process's number, whether it is ready; OSError and httpx.HTTPError: not yet."""
Scripts = Mapping[str, Mapping[str, Any]]
"""Scripts of scripted engines, by branch of the settings."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(url: str) -> Ready:
    """Ready as soon as anything is answered: a WebSocket's server refuses plain requests."""
    return lambda _: httpx.get(url, timeout=5, trust_env=False).status_code > 0


@contextmanager
def child_process(
    command: Sequence[str],
    output: Path,
    ready: Ready,
    *,
    environment: Mapping[str, str] | None = None,
    down: Sequence[str] = (),
    ends_with: int = signal.SIGTERM,
) -> Iterator[int]:
    """Start a process, wait until it is ready, yield its number, and end it.

    `down`: the command that ends it with all that it has started; else it gets `ends_with`, and SIGKILL 40 s
    later. Raises RuntimeError, with its last lines, where it ends or is not ready within five minutes.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, **(environment or {})}
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=variables,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=bool(down),  # Ctrl-C ends the measurement, and `down` the system in order
        )
        try:
            _await(process, ready, output)
            yield process.pid
        finally:
            if down:
                subprocess.run(down, env=variables, stdout=sink, stderr=subprocess.STDOUT, check=False)
            else:
                process.send_signal(ends_with)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], ready: Ready, output: Path) -> None:
    deadline, failure = time.monotonic() + _START_S, f"was not ready in {_START_S:.0f} s"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            failure = f"ended with {process.returncode}"
            break
        with suppress(OSError, httpx.HTTPError):
            if ready(process.pid):
                return
        time.sleep(0.1)
    said = "\n".join(output.read_text(errors="replace").splitlines()[-12:])
    raise RuntimeError(f"{process.args!r} {failure}:\n{said}")


def written(scripts: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """The scripts of engines as files in `folder`, by branch of the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {branch: folder / f"{branch}.json" for branch in scripts}
    for branch, file in files.items():
        file.write_text(json.dumps(scripts[branch]))
    return files


@contextmanager
def rhapsode(
    home: Path,
    *,
    cache: Path | None = None,
    scripts: Scripts | None = None,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
    choosy: bool = False,
) -> Iterator[str]:
    """`rhapsode up` with a home of its own; yields its URL, stops it afterwards.

    `cache`: folder of prepared weights. `scripts`: scripts of scripted engines by branch of the settings;
    None: real engines. `choosy`: new sessions are refused as it is delivered. Else all are let in: it is
    measured what is carried.
    """
    port, output = free_port(), home / "up.txt"
    program = str(Path(sys.executable).with_name("rhapsode"))
    command = [program, "up", "--port", str(port)]
    command += ["--scripted"] if scripts is not None else []
    command += ["--config", str(config)] if config else []
    admission = {} if choosy else {"RHAPSODE_LIMITS__ADMISSION": '{"slowdown": null}'}
    variables = {**admission, **(environment or {}), "RHAPSODE_HOME": str(home)}
    variables |= {} if cache is None else {"RHAPSODE_CACHE": str(cache)}
    for branch, file in written(scripts or {}, home).items():
        variables[f"RHAPSODE_{branch.upper()}__SCRIPT"] = str(file)

    def ready(_: int) -> bool:
        """When the first gateway answers, the second may still be on its way, and be missed for minutes."""
        return "Rhapsode is ready" in output.read_text(errors="replace")

    with child_process(command, output, ready, environment=variables, down=[program, "down"]):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def bare_stream(home: Path, script: Mapping[str, Any]) -> Iterator[str]:
    """A WebSocket server that sends a scripted answer and does nothing else: the floor of every delta."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests.servers.bare_stream_server", str(port), json.dumps(script)]

    def ready(_: int) -> bool:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True

    with child_process(command, home / "bare.txt", ready):
        yield f"ws://127.0.0.1:{port}"


SCRIPTS: Final[dict[str, dict[str, Any]]] = {
    "language_model": {"echo": True, "delta_chars": 12, "first_delta_ms": 120, "per_delta_ms": 40},
    "text_to_speech": {"first_chunk_ms": 60, "per_chunk_ms": 20},
    "speech_to_text": {"texts": ["Please tell me a story."], "per_request_ms": 40},
}
"""Scripts of the engines. The answer begins with the question, and so with its mark."""
