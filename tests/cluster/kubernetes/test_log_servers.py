"""The log's servers start with what the manifests say, and the manifests' job makes one cluster of them."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
import redis

from cluster.kubernetes import overlay_checks
from cluster.kubernetes.kustomize import Manifest, named
from pipeline.eventlog.redis.embedded.embedded_server import find_binary
from tests.support.eventually import eventually

pytestmark = pytest.mark.redis
PASSWORD = "not-a-secret"
SERVERS = 6


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the image's two commands are those of this machine."""
    client = shutil.which("valkey-cli") or shutil.which("redis-cli")
    if client is None:
        pytest.skip("there is no redis-cli")
    folder = tmp_path_factory.mktemp("bin")
    (folder / "valkey-server").symlink_to(find_binary())
    (folder / "valkey-cli").symlink_to(client)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "REDISCLI_AUTH": PASSWORD, "POD_IP": "127.0.0.1"}


def _ports(count: int) -> list[int]:
    """Free ones, whose cluster's bus (10,000 further on) is free too."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            if port <= 55_535:
                found.append(port)
    return found


@pytest.fixture
def started(tools: dict[str, str], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for server in running:
        server.kill()
    for server in running:
        server.wait()


def _start(
    manifests: dict[str, Manifest], name: str, port: int, place: Path, tools: dict[str, str]
) -> subprocess.Popen[bytes]:
    """As the pod does, but in folders of the test's own and on the loopback."""

    def moved(text: str) -> str:
        for folder in ("/data", "/run/valkey", "/etc/valkey"):
            text = text.replace(folder, str(place / folder[1:]))
        return text

    for folder in ("data", "run/valkey", "etc/valkey"):
        (place / folder).mkdir(parents=True)
    config = manifests[f"ConfigMap/{name}-config"]["data"]["valkey.conf"]
    (place / "etc/valkey/valkey.conf").write_text(f"port {port}\nbind 127.0.0.1\n{moved(config)}")
    container = manifests[f"StatefulSet/{name}"]["spec"]["template"]["spec"]["containers"][0]
    command = [*container["command"], moved(container["args"][0])]
    return subprocess.Popen(command, env=tools, stdout=subprocess.DEVNULL, cwd=place)


def _client(port: int) -> redis.Redis:
    return redis.Redis(port=port, password=PASSWORD, decode_responses=True)


def _answers(port: int) -> bool:
    try:
        return bool(_client(port).ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("name", ["gcs", "log"])
def test_a_single_server_wants_its_password(
    name: str, tools: dict[str, str], started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    manifests = {named(manifest): manifest for manifest in overlay_checks.rendered("small")}
    (port,) = _ports(1)
    started.append(_start(manifests, name, port, tmp_path, tools))
    anyio.run(eventually, lambda: _answers(port))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).set("a", "b")
    assert _client(port).config_get("appendonly") == {"appendonly": "yes"}


def test_six_servers_become_one_cluster_once(
    tools: dict[str, str], started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    manifests = {named(manifest): manifest for manifest in overlay_checks.rendered("gpu")}
    ports = _ports(SERVERS)
    assert manifests["StatefulSet/log"]["spec"]["replicas"] == SERVERS
    started += [_start(manifests, "log", port, tmp_path / str(port), tools) for port in ports]
    script = tmp_path / "join.sh"
    script.write_text(manifests["ConfigMap/log-join"]["data"]["join.sh"])
    environment = {**tools, "NODES": " ".join(f"127.0.0.1:{port}" for port in ports)}
    said = [
        subprocess.run(
            ["sh", script], env=environment, capture_output=True, check=True, text=True, timeout=60
        )
        for _ in range(2)
    ]
    assert all("cluster_state:ok" in one.stdout for one in said)
    assert [one.stdout.count("slots covered") for one in said] == [1, 0], "the second only looks"
    roles = [_client(port).role()[0] for port in ports]
    assert sorted(roles) == ["master"] * 3 + ["slave"] * 3

    def written() -> bool:
        """Every shard takes events."""
        try:
            with redis.RedisCluster("127.0.0.1", ports[0], password=PASSWORD) as cluster:
                return all(cluster.set(f"key-{number}", "fact") for number in range(12))
        except redis.RedisError:
            return False

    anyio.run(eventually, written)
