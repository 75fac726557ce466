"""The system under attack: gateways on one port, one log server, all killable."""

import os
import random
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from time import monotonic, time_ns
from typing import Final

import anyio

from loadtests.servers.bare_gateway import scripted_settings
from loadtests.servers.fork_server import end, fork
from pipeline.eventlog.redis.embedded import embedded_server

_START_S: Final = 90.0
_ZOMBIE_S: Final = 2.5
"""Longer than a lease: whoever wakes after that has lost its sessions."""


def reserve_port() -> socket.socket:
    """A port that nobody else gets, also while no gateway is there to listen on it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


@dataclass
class GatewaySystem:
    """Starts and kills; use as an async context manager."""

    home: Path
    gateways: int
    llm: dict[str, object]
    dice: random.Random
    log: Mapping[str, object] = field(default_factory=dict)
    """Settings of the log; without any it is the embedded one."""
    tts: Mapping[str, object] = field(default_factory=dict)
    """The voice's script."""
    kills: list[tuple[int, int]] = field(default_factory=list)
    """When (ms since the epoch) which process was killed or stopped."""
    log_kills: list[int] = field(default_factory=list)
    """When (ms since the epoch)."""
    zombies: int = 0
    _processes: dict[int, ForkServerProcess] = field(default_factory=dict)

    async def __aenter__(self) -> "GatewaySystem":
        self._reserved = reserve_port()
        self.port = self._reserved.getsockname()[1]
        self.settings = scripted_settings(
            self.home, self.llm, self.tts, gateway={"direct_port": self.port}, log=self.log
        )
        self._file = self.home / "settings.json"
        self._file.write_text(self.settings.model_dump_json())
        try:
            for _ in range(self.gateways):
                self.start_one()
            await self.ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes.values():
            end(process)
        self._reserved.close()
        embedded_server.stop(self.home)

    def start_one(self) -> None:
        process = fork(
            "loadtests.servers.scripted_gateway", str(self._file), output=self.home / "gateways.txt"
        )
        assert process.pid is not None
        self._processes[process.pid] = process

    async def ready(self) -> None:
        """Return when every gateway is up."""
        deadline = monotonic() + _START_S
        while not all((self.home / f"ready-{pid}").exists() for pid in self._processes):
            if monotonic() > deadline or not all(process.is_alive() for process in self._processes.values()):
                raise RuntimeError(
                    "a gateway did not start:\n" + (self.home / "gateways.txt").read_text()[-4_000:]
                )
            await anyio.sleep(0.05)

    def owns(self, pid: int) -> bool:
        return pid in self._processes

    def ended(self, pid: int) -> int | None:
        """The exit status of a gateway that was asked to go; None: it is still there."""
        return self._processes[pid].exitcode

    def kill_gateway(self, pid: int) -> None:
        """kill -9; another one is started in its place. One at a time: call `ready` before the next."""
        process = self._processes.pop(pid)
        self.kills.append((time_ns() // 1_000_000, pid))
        end(process)
        self.start_one()

    async def freeze_gateway(self, pid: int) -> None:
        """Stop it for longer than its leases last, then let it go on as if nothing had happened."""
        self.zombies += 1
        self.kills.append((time_ns() // 1_000_000, pid))
        os.kill(pid, signal.SIGSTOP)
        await anyio.sleep(_ZOMBIE_S)
        os.kill(pid, signal.SIGCONT)

    def kill_log(self) -> None:
        """kill -9 of the log server; whoever needs it next starts it again."""
        server = embedded_server.status(self.home)
        if server is not None:
            self.log_kills.append(time_ns() // 1_000_000)
            os.kill(server.pid, signal.SIGKILL)
