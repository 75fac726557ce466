"""One gateway for each way of tracing, all up at the same time, with scripted engines."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from loadtests.target import free_port
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings

WAYS: Final[Mapping[str, float | None]] = {"off": None, "10 %": 0.1, "on": 1.0}
"""The share of turns that is traced; None: the tracer is not even there."""
DELTAS: Final = 120
_SCRIPT: Final = {"stamp": True, "delta_chars": 1, "per_delta_ms": 10, "reply": "x" * DELTAS}
_SPEECH: Final = {"ms_per_char": 0.6}
"""A delta is a time stamp, and is read digit by digit. At a usual pace it would be Opus that is measured."""
_START_S: Final = 120.0


@dataclass(frozen=True)
class Gateway:
    """A process of one way."""

    way: str
    url: str
    process: psutil.Process

    def cpu_ms(self) -> float:
        """Of all its threads until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system) * 1_000


@contextmanager
def gateways(folder: Path) -> Iterator[list[Gateway]]:
    """All of them, ready; none is left afterwards."""
    with ExitStack() as held:
        sink = held.enter_context(_process(["loadtests.tracing.sink", str(port := free_port())], folder))
        found = [held.enter_context(_gateway(folder / f"way-{n}", way, port)) for n, way in enumerate(WAYS)]
        assert sink.poll() is None
        yield found


@contextmanager
def _gateway(home: Path, way: str, collector: int) -> Iterator[Gateway]:
    home.mkdir(parents=True)
    script, speech, file = home / "script.json", home / "speech.json", home / "settings.json"
    script.write_text(json.dumps(_SCRIPT))
    speech.write_text(json.dumps(_SPEECH))
    port = free_port()
    ratio = WAYS[way]
    tracing = {"enabled": ratio is not None, "endpoint": f"http://127.0.0.1:{collector}"}
    scripted = {"engine": "scripted"}
    settings = AppSettings.model_validate(
        {
            "home": home,
            "cache": home / "cache",
            "language_model": scripted | {"script": script},
            "text_to_speech": scripted | {"script": speech},
            "speech_to_text": scripted,
            "quality_speech_to_text": scripted,
            "gateway": {"direct_port": port},
            "tracing": tracing | ({} if ratio is None else {"sample_ratio": ratio}),
        }
    )
    file.write_text(settings.model_dump_json())
    try:
        with _process(["loadtests.chaos.gateway", str(file)], home) as process:
            deadline = time.monotonic() + _START_S
            while not (home / f"ready-{process.pid}").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("a gateway did not start:\n" + (home / "output.txt").read_text())
                time.sleep(0.05)
            yield Gateway(way, f"http://127.0.0.1:{port}", psutil.Process(process.pid))
    finally:
        embedded_server.stop(home)


@contextmanager
def _process(module: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], stdout=output, stderr=subprocess.STDOUT, env=dict(os.environ)
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
