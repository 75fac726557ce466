"""Several Ray nodes on this machine, each a tree of processes that may be killed as a whole."""

import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import anyio
import psutil

from loadtests.servers.rhapsode_process import free_port

_START_S: Final = 150.0
_DEPLOY_S: Final = 240.0
_ADDRESS: Final = "127.0.0.2"
"""On the loopback, and none that Ray takes for a machine that can have one node only."""
_HEAD: Final = {"pool": "llm"}
_STARTED: Final = "Ray runtime started"
"""Line that every node writes once into the common output, the head too."""
_RAY: Final = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_PORTS: Final = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")
_QUIET: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # Ray listens on all addresses unless its own is 127.0.0.1
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass
class RayNodes:
    """A Ray cluster with nodes that come and go; an async context manager that ends all of them."""

    folder: Path
    """Short: Ray keeps sockets below it."""
    environment: dict[str, str] = field(default_factory=dict)
    nodes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    """Those that can be killed, by the process that started them."""
    _added: int = 0

    async def __aenter__(self) -> "RayNodes":
        port = free_port()
        self.address = f"{_ADDRESS}:{port}"
        self._head = self._start(
            "--head",
            f"--port={port}",
            f"--ray-client-server-port={free_port()}",
            f"--temp-dir={self.folder}",
            "--include-dashboard=false",
            "--num-gpus=4",
            labels=_HEAD,
        )
        try:
            await self._until(self.address)
        except BaseException:
            _kill(self._head)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in (*self.nodes.values(), self._head):
            _kill(process)

    async def _until(self, address: str) -> None:
        host, _, port = address.partition(":")
        deadline = monotonic() + _START_S
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                if monotonic() > deadline or self._head.poll() is not None:
                    raise RuntimeError("Ray did not start:\n" + self._output.read_text()[-2_000:]) from None
                await anyio.sleep(0.05)
            else:
                return

    async def add(self, pool: str) -> int:
        """One more node, named by the process that it hangs on; two at once would take the same sockets."""
        self._added += 1
        node = self._start(f"--address={self.address}", labels={"pool": pool})
        self.nodes[node.pid] = node
        with anyio.fail_after(_START_S):
            while True:
                await anyio.sleep(0.05)
                if node.poll() is not None:
                    raise RuntimeError("A Ray node did not start:\n" + self._output.read_text()[-2_000:])
                if self._output.read_text().count(_STARTED) > self._added:
                    return node.pid

    def node_of(self, pid: int) -> int | None:
        """Node of a process; None: on the head, or gone."""
        try:
            above = {parent.pid for parent in psutil.Process(pid).parents()}
        except psutil.NoSuchProcess:
            return None
        return next((node for node in self.nodes if node in above), None)

    def kill(self, node: int) -> None:
        """kill -9 of everything that runs there, as if the machine were gone."""
        _kill(self.nodes.pop(node))

    async def deploy(self, file: Path) -> None:
        """As an operator would; again and again while nodes are still coming."""
        command = [sys.executable, "-m", "cluster.cli.main", "deploy", str(file), "--address", self.address]
        with anyio.fail_after(_DEPLOY_S):
            while True:
                done = await anyio.run_process(command, env=self._environment, check=False)
                if done.returncode == 0:
                    return
                said = done.stderr.decode()
                if "No node is of the pool" not in said:
                    raise RuntimeError(said)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **_QUIET, **self.environment}

    @property
    def _output(self) -> Path:
        return self.folder.with_suffix(".txt")

    def _start(self, *options: str, labels: dict[str, str]) -> subprocess.Popen[bytes]:
        marks = ",".join(f"{name}={value}" for name, value in labels.items())
        command = [*_RAY, *options, f"--node-ip-address={_ADDRESS}", "--num-cpus=4", f"--labels={marks}"]
        command.append("--object-store-memory=100000000")
        command += [f"--{name}={free_port()}" for name in _PORTS]  # each node would take the same ones
        command += ["--min-worker-port=0", "--max-worker-port=0"]
        with self._output.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The parents first, so that none of them starts another."""
    try:
        top = psutil.Process(process.pid)
        tree = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for one in tree:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=10)
    process.wait()
