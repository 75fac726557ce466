"""The systems under measurement, each in processes of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_START_S = 300.0
_STOP_S = 40.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def rhapsode(
    home: Path,
    *,
    environment: Mapping[str, str],
    scripted: bool,
    config: Path | None = None,
    choosy: bool = False,
) -> Iterator[str]:
    """`rhapsode up` with a home of its own; yields its URL, stops it afterwards.

    `choosy`: newcomers are refused as it is delivered. Else all are let in: it is measured what is carried.
    """
    port = free_port()
    program = str(Path(sys.executable).with_name("rhapsode"))
    command = [program, "up", "--port", str(port)]
    command += ["--scripted"] if scripted else []
    command += ["--config", str(config)] if config else []
    welcome = {} if choosy else {"RHAPSODE_LIMITS__ADMISSION": '{"slowdown": null}'}
    variables = {**os.environ, **welcome, **environment, "RHAPSODE_HOME": str(home)}
    with _process(command, variables, home / "up.txt", down=[program, "down"]) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            # When the first gateway answers, the second may still be on its way, and be missed for minutes.
            _await(process, lambda: "Rhapsode is ready" in (home / "up.txt").read_text(errors="replace"))
        except RuntimeError as error:
            raise RuntimeError(f"{error}:\n{_last_lines(home / 'up.txt')}") from error
        yield url


@contextmanager
def bare_stream(home: Path, script: Mapping[str, Any]) -> Iterator[str]:
    """A WebSocket server that sends a scripted answer and does nothing else: the floor of every delta."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests.bench.rows.bare_stream_server", str(port), json.dumps(script)]
    with _process(command, dict(os.environ), home / "bare.txt") as process:
        _await(process, lambda: _listens(port))
        yield f"ws://127.0.0.1:{port}"


@contextmanager
def _process(
    command: list[str], variables: dict[str, str], output: Path, *, down: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards. `down`: the command that ends it with all that it has started."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=variables,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=bool(
                down
            ),  # Ctrl-C is for who measures, and `down` then ends the system in order
        )
        try:
            yield process
        finally:
            if down:
                subprocess.run(down, env=variables, stdout=sink, stderr=subprocess.STDOUT, check=False)
            else:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _last_lines(output: Path) -> str:
    return "\n".join(output.read_text(errors="replace").splitlines()[-8:])


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def _await(process: subprocess.Popen[bytes], answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            if answers():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"{process.args!r} did not get ready in {_START_S:.0f} s")


SCRIPTS: Final[dict[str, dict[str, Any]]] = {
    "language_model": {"echo": True, "delta_chars": 12, "first_delta_ms": 120, "per_delta_ms": 40},
    "text_to_speech": {"first_chunk_ms": 60, "per_chunk_ms": 20},
    "speech_to_text": {"texts": ["Please tell me a story."], "per_request_ms": 40},
}
"""What each engine does. The answer begins with the question, and so with its mark."""


@contextmanager
def own(folder: Path) -> Iterator[str]:
    """Yields its address; `folder`/home is its home."""
    environment = {}
    folder.mkdir(parents=True, exist_ok=True)
    for branch, script in SCRIPTS.items():
        path = folder / f"{branch}.json"
        path.write_text(json.dumps(script))
        environment[f"RHAPSODE_{branch.upper()}__SCRIPT"] = str(path)
    with rhapsode(folder / "home", environment=environment, scripted=True, choosy=True) as url:
        yield url
