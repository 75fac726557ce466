"""A log server that cannot be used is found at once, and the advice fits the cause."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from cluster.checks import log_check
from cluster.terminal.cli_errors import CliError
from loadtests.servers.redis_servers import find_server
from loadtests.servers.rhapsode_process import free_port
from schemas.settings import LogSettings

pytestmark = pytest.mark.redis

Started = Callable[..., int]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Starts Debian's redis-server with these options on a port of its own; ends it after the test."""
    try:
        binary = find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str, tls: bool = False) -> int:
        port = free_port()
        ports = ["--port", "0", "--tls-port", str(port)] if tls else ["--port", str(port)]
        folder = tmp_path / str(port)
        folder.mkdir()
        command = [str(binary), *ports, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        running.append(subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL))
        while True:
            assert running[-1].poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port

    yield start
    for server in running:
        server.kill()
        server.wait()


def settings(url: str = "", **others: Any) -> LogSettings:
    return LogSettings.model_validate(({"url": url} if url else {}) | others)


def refusal(url: str = "", **others: Any) -> str:
    with pytest.raises(CliError) as refused:
        log_check.examine(settings(url, **others))
    return f"{refused.value} → {refused.value.advice}"


def test_a_server_that_can_be_used_is_described_and_its_password_is_not_shown(started: Started) -> None:
    port = started("--requirepass", "secret", "--appendonly", "yes", "--maxmemory", "100mb")
    found = log_check.examine(settings(f"redis://:secret@127.0.0.1:{port}/0"))
    assert found.address == f"redis://127.0.0.1:{port}/0"
    assert found.about.startswith(("redis 7", "redis 8", "valkey"))
    assert (found.limit_bytes, found.warnings) == (100 * 1024 * 1024, ())
    assert found.as_json()["limit_mb"] == 100


def test_settings_of_the_server_that_lose_events_are_told(started: Started) -> None:
    port = started("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    warnings = " ".join(log_check.examine(settings(f"redis://127.0.0.1:{port}")).warnings)
    assert "appendonly yes" in warnings
    assert "maxmemory-policy volatile-ttl" in warnings


def test_no_server_listens() -> None:
    said = refusal(f"redis://:secret@127.0.0.1:{free_port()}")
    assert "nothing listens there. → Start that server." in said
    assert "secret" not in said


def test_no_file_where_a_socket_should_be(socket_folder: Path) -> None:
    assert "has a socket, or a file of certificates, that is not there" in refusal(
        f"unix://{socket_folder}/no.sock"
    )


def test_no_file_where_an_authority_should_be(started: Started, tmp_path: Path) -> None:
    said = refusal(f"rediss://127.0.0.1:{started()}?ssl_ca_certs={tmp_path}/no.pem")
    assert "a file of certificates, that is not there. → Start that server, or correct ssl_ca_certs" in said


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
def test_no_password_or_a_wrong_one(started: Started, user: str) -> None:
    said = refusal(f"redis://{user}127.0.0.1:{started('--requirepass', 'secret')}")
    assert "refuses the password or the user" in said
    assert "→ Give them in the URL" in said
    assert "wrong" not in said.replace("WRONGPASS", "")


def test_another_kind_of_server() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = refusal(f"redis://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "does not speak Redis" in said
    assert "Is it another kind of server, as of HTTP?" in said


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_check, "_OPTIONS", {**log_check._OPTIONS, "socket_timeout": 0.1})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = refusal(f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert "does not answer within" in said


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with the certificate of 127.0.0.1 of an authority of our own: ca.pem, server.pem, key.pem."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    (tmp_path / "san").write_text("subjectAltName=IP:127.0.0.1")
    keys = [openssl, "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san"]
    made = [
        [*keys, "/CN=ours", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"],
        [*keys, "/CN=log", "-keyout", "key.pem", "-out", "server.csr"],
        [openssl, "x509", "-req", "-days", "2", "-in", "server.csr", "-out", "server.pem", *signed],
    ]
    for command in made:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_a_certificate_of_ones_own_authority(started: Started, certificate: Path) -> None:
    files = {name: str(certificate / name) for name in ("server.pem", "key.pem", "ca.pem")}
    port = started(
        *("--tls-cert-file", files["server.pem"], "--tls-key-file", files["key.pem"]),
        *("--tls-ca-cert-file", files["ca.pem"], "--tls-auth-clients", "no"),
        tls=True,
    )
    said = refusal(f"rediss://127.0.0.1:{port}")
    assert "has a certificate that is not accepted" in said
    assert "?ssl_ca_certs=" in said
    assert log_check.examine(settings(f"rediss://127.0.0.1:{port}?ssl_ca_certs={files['ca.pem']}"))
    assert "write rediss://" in refusal(f"redis://127.0.0.1:{port}")


def test_tls_with_a_server_that_has_none(started: Started) -> None:
    said = refusal(f"rediss://127.0.0.1:{started()}")
    assert "does it have TLS where the URL says rediss://" in said  # it waits for more of what it cannot read


def test_a_single_server_is_no_cluster_and_a_node_of_one_no_single_server(started: Started) -> None:
    single, node = started(), started("--cluster-enabled", "yes")
    assert "→ Set log.mode to single." in refusal(f"redis://127.0.0.1:{single}", mode="cluster")
    assert "→ Set log.mode to cluster." in refusal(f"redis://127.0.0.1:{node}")
    assert "has no slots" in refusal(mode="cluster", nodes=[f"127.0.0.1:{node}"])
    # The first one of several that answers is enough.
    assert "single" in refusal(mode="cluster", nodes=[f"127.0.0.1:{free_port()}", f"127.0.0.1:{single}"])


def test_a_cluster_is_examined_as_one(started: Started) -> None:
    port = started("--cluster-enabled", "yes", "--appendonly", "no")
    with redis.Redis(port=port) as node:
        node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
        found = log_check.examine(settings(mode="cluster", nodes=[f"127.0.0.1:{port}"]))
    assert found.address == f"1 primaries, first 127.0.0.1:{port}"
    assert len(found.warnings) == 1


def test_sentinels_and_what_is_none(started: Started, tmp_path: Path) -> None:
    master, other = started("--appendonly", "yes"), started()
    file = tmp_path / "sentinel.conf"
    file.write_text(f"sentinel monitor ours 127.0.0.1 {master} 1\n")
    binary, port = str(find_server()), free_port()
    command = [binary, str(file), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as sentinel:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert sentinel.poll() is None
        asked: dict[str, Any] = {"mode": "sentinel", "sentinels": [f"127.0.0.1:{port}"]}
        try:
            assert log_check.examine(settings(**asked, master="ours")).warnings == ()
            assert "know no master 'mymaster'. → Correct log.master." in refusal(**asked)
            assert "→ Set log.mode to sentinel" in refusal(f"redis://127.0.0.1:{port}")
        finally:
            sentinel.kill()
    assert "unknown command" in refusal(mode="sentinel", sentinels=[f"127.0.0.1:{other}"])


def test_a_replica_takes_no_events(started: Started) -> None:
    replica = started("--replicaof", "127.0.0.1", str(started()))
    assert "is a replica" in refusal(f"redis://127.0.0.1:{replica}")


def test_a_user_who_may_not_ask_is_taken_at_his_word(started: Started) -> None:
    port = started("--user", *["log", "on", ">secret", "~ev:*", "&*", "+@all", "-info"])
    found = log_check.examine(settings(f"redis://log:secret@127.0.0.1:{port}"))
    assert found.warnings == ()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://:pa/ss@host:1"])
def test_an_address_that_cannot_be_one_says_nothing_of_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="url") as refused:
        settings(url)
    assert "pa" not in str(refused.value).replace("password", "")
