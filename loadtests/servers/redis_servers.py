"""Redis servers to be killed: a cluster, or a master with replicas and sentinels, on free ports."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from pipeline.eventlog.redis.cluster.hash_slots import SLOTS

NODE_TIMEOUT_MS: Final = 1_000
_PATIENCE_S: Final = 90.0


def find_server() -> Path:
    """Debian's redis-server or valkey-server. Raises FileNotFoundError."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    raise FileNotFoundError(
        "Neither redis-server (7.0 or later) nor valkey-server is here. Debian: apt-get install redis-server"
    )


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if condition():
                return
        except RedisError:
            pass  # it may be starting
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(0.02)


@dataclass(eq=False)
class RedisServer:
    """One process that can be killed and started again with what it had."""

    binary: Path
    folder: Path
    port: int
    options: Sequence[str]
    sentinel: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self) -> Redis:
        return Redis(port=self.port, protocol=2, socket_timeout=2)

    def ask(self, *words: Any) -> Any:
        """The raw reply."""
        with self.client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def info(self, section: str) -> dict[str, Any]:
        with self.client() as client:
            found: Any = client.info(section)
            return dict(found)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "server.conf"
        if not (self.sentinel and config.exists()):  # a sentinel writes into its own
            lines = [f"port {self.port}", "bind 127.0.0.1", f'dir "{self.folder}"', *self.options]
            config.write_text("\n".join(lines) + "\n")
        words = [str(self.binary), str(config), *(["--sentinel"] if self.sentinel else [])]
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
        wait_for(lambda: self.ask("PING"), f"a server at {self.port}")

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGCONT)


_DATA: Final = (
    'save ""',
    "appendonly yes",
    "appendfsync no",
    "repl-diskless-sync-delay 0",
    "repl-ping-replica-period 1",
    "client-output-buffer-limit pubsub 64mb 16mb 30",
)


@dataclass(eq=False)
class RedisCluster:
    """Some shards, each a primary and its replicas at first."""

    servers: list[RedisServer] = field(default_factory=list)

    @property
    def nodes(self) -> list[str]:
        return [server.address for server in self.servers]

    @property
    def alive(self) -> list[RedisServer]:
        return [server for server in self.servers if server.process is not None]

    def at(self, address: str) -> RedisServer:
        return next(server for server in self.servers if server.address == address)

    def primaries(self) -> dict[str, list[tuple[int, int]]]:
        """Address to slots, as a living server sees them."""
        found: dict[str, list[tuple[int, int]]] = {}
        for first, last, (host, port, *_), *_ in self.alive[0].ask("CLUSTER", "SLOTS"):
            found.setdefault(f"{host.decode()}:{port}", []).append((first, last))
        return found

    def primary_of(self, slot: int) -> RedisServer:
        for address, ranges in self.primaries().items():
            if any(first <= slot <= last for first, last in ranges):
                return self.at(address)
        raise LookupError(f"nobody has slot {slot}")

    def whole(self) -> bool:
        """Does every living server see all slots in the hands of living ones?"""
        addresses = {server.address for server in self.alive}
        for server in self.alive:
            if server.info("cluster") and b"cluster_state:ok" not in server.ask("CLUSTER", "INFO"):
                return False
        return set(self.primaries()) <= addresses

    def replicated(self) -> bool:
        """Has every primary a replica that is up to date?"""
        return all(self.at(p).info("replication")["connected_slaves"] > 0 for p in self.primaries())

    def name_of(self, server: RedisServer) -> str:
        name: bytes = server.ask("CLUSTER", "MYID")
        return name.decode()

    def migrate(self, slot: int, to: RedisServer) -> None:
        """As `redis-cli --cluster reshard` does: key by key, while everybody goes on."""
        source = self.primary_of(slot)
        if source is to:
            return
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.name_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.name_of(to))
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", *keys)
        for server in (to, source, *(self.at(address) for address in self.primaries())):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", self.name_of(to))


@contextmanager
def redis_cluster(
    folder: Path, *, shards: int = 3, replicas: int = 1, binary: Path | None = None
) -> Iterator[RedisCluster]:
    """Up and whole; gone with the block."""
    binary = binary or find_server()
    ports = free_ports(2 * shards * (1 + replicas))
    cluster = RedisCluster()
    try:
        for number in range(shards * (1 + replicas)):
            cluster.servers.append(_cluster_server(binary, folder, ports[2 * number], ports[2 * number + 1]))
            cluster.servers[-1].start()
        _join(cluster, ports, shards)
        yield cluster
    finally:
        for server in cluster.servers:
            server.kill()


def _cluster_server(binary: Path, folder: Path, port: int, bus: int) -> RedisServer:
    options = (
        *_DATA,
        "cluster-enabled yes",
        f"cluster-port {bus}",
        f"cluster-node-timeout {NODE_TIMEOUT_MS}",
        "cluster-require-full-coverage no",
        "cluster-allow-replica-migration no",
    )
    return RedisServer(binary, folder / str(port), port, options)


def _join(cluster: RedisCluster, ports: Sequence[int], shards: int) -> None:
    first, *others = cluster.servers
    for server in cluster.servers:
        server.ask("CLUSTER", "SET-CONFIG-EPOCH", cluster.servers.index(server) + 1)
    for number, server in enumerate(others, 1):
        first.ask("CLUSTER", "MEET", "127.0.0.1", server.port, ports[2 * number + 1])
    everybody = len(cluster.servers)
    known = f"cluster_known_nodes:{everybody}".encode()
    wait_for(lambda: all(known in s.ask("CLUSTER", "INFO") for s in cluster.servers), "everybody knows all")
    for number in range(shards):
        slots = (SLOTS * number // shards, SLOTS * (number + 1) // shards - 1)
        cluster.servers[number].ask("CLUSTER", "ADDSLOTSRANGE", *slots)
    for number, server in enumerate(cluster.servers[shards:]):
        primary = cluster.name_of(cluster.servers[number % shards])
        wait_for(lambda s=server, p=primary: s.ask("CLUSTER", "REPLICATE", p), "a replica")  # type: ignore[misc]
    wait_for(cluster.whole, "a whole cluster")
    if len(cluster.servers) > shards:
        wait_for(cluster.replicated, "replicas in step")
        wait_for(lambda: all(shard[3:] for shard in first.ask("CLUSTER", "SLOTS")), "word of the replicas")


@dataclass(eq=False)
class SentinelRedis:
    """A master, its replicas and three sentinels."""

    servers: list[RedisServer]
    sentinels: list[RedisServer]
    name: str = "mymaster"

    def master(self) -> RedisServer:
        """As the first living sentinel sees it."""
        return self._master(next(s for s in self.sentinels if s.process is not None))

    def masters(self) -> set[RedisServer]:
        """As all living sentinels see them."""
        return {self._master(sentinel) for sentinel in self.sentinels if sentinel.process is not None}

    def _master(self, sentinel: RedisServer) -> RedisServer:
        _, port = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.servers if server.port == int(port))


@contextmanager
def watched_redis(folder: Path, *, replicas: int = 2, binary: Path | None = None) -> Iterator[SentinelRedis]:
    """Up and known to all sentinels; gone with the block."""
    binary = binary or find_server()
    ports = free_ports(1 + replicas + 3)
    master = RedisServer(binary, folder / "data-0", ports[0], _DATA)
    follow = f"replicaof 127.0.0.1 {ports[0]}"
    servers = [master]
    for number in range(1, replicas + 1):
        servers.append(RedisServer(binary, folder / f"data-{number}", ports[number], (*_DATA, follow)))
    watch = (
        f"sentinel monitor mymaster 127.0.0.1 {ports[0]} 2",
        f"sentinel down-after-milliseconds mymaster {NODE_TIMEOUT_MS}",
        "sentinel failover-timeout mymaster 4000",
    )
    sentinels = [
        RedisServer(binary, folder / f"sentinel-{port}", port, watch, sentinel=True)
        for port in ports[1 + replicas :]
    ]
    try:
        for server in (*servers, *sentinels):
            server.start()
        wait_for(lambda: master.info("replication")["connected_slaves"] == replicas, "replicas")
        wait_for(lambda: all(_knows(s, replicas) for s in sentinels), "sentinels that know all")
        yield SentinelRedis(servers, sentinels)
    finally:
        for server in (*sentinels, *servers):
            server.kill()


def _knows(sentinel: RedisServer, replicas: int) -> bool:
    flat = sentinel.ask("SENTINEL", "MASTER", "mymaster")
    said = dict(zip(flat[::2], flat[1::2], strict=True))
    return (said[b"num-slaves"], said[b"num-other-sentinels"]) == (str(replicas).encode(), b"2")
