"""Gateways as processes of their own, on one log: they may be killed at any moment."""

import time
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtests.servers.fork_server import end, fork
from loadtests.servers.gateway_system import reserve_port
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings
from tests.support.running_app import RunningApp

_START_S = 60.0


class Gateways:
    """A context manager: `start` as many as you like, all of them end with the block."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._running: dict[str, ForkServerProcess] = {}
        self._ports = ExitStack()
        """Nobody else's, until the block ends."""

    def __enter__(self) -> Self:
        embedded_server.ensure(self._settings.home, self._settings.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._ports:
            for process in self._running.values():
                end(process)
        embedded_server.stop(self._settings.home)

    def start(self, count: int) -> list[RunningApp]:
        """So many more, ready to be called."""
        begun = [self._start() for _ in range(count)]
        deadline = time.monotonic() + _START_S
        for app in begun:
            process = self._running[app.url]
            while not (self._settings.home / f"ready-{process.pid}").exists():
                assert process.is_alive(), self._output.read_text()
                assert time.monotonic() < deadline, self._output.read_text()
                time.sleep(0.02)
        return begun

    def pid(self, app: RunningApp) -> int:
        pid = self._running[app.url].pid
        assert pid is not None
        return pid

    def kill(self, app: RunningApp) -> None:
        """kill -9."""
        end(self._running.pop(app.url))

    def terminate(self, app: RunningApp) -> None:
        """SIGTERM: the gateway drains and ends."""
        process = self._running[app.url]
        process.terminate()

    @property
    def _output(self) -> Path:
        return self._settings.home / "gateways.txt"

    def _start(self) -> RunningApp:
        reserved = self._ports.enter_context(reserve_port())
        port = reserved.getsockname()[1]
        gateway = self._settings.gateway.model_copy(update={"direct_port": port})
        settings = self._settings.model_copy(update={"gateway": gateway})
        file = self._settings.home / f"settings-{port}.json"
        file.write_text(settings.model_dump_json())
        process = fork("loadtests.servers.scripted_gateway", str(file), output=self._output)
        app = RunningApp(f"http://127.0.0.1:{port}", settings)
        self._running[app.url] = process  # ends with the block, whether it gets ready or not
        return app
