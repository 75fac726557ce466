"""The files for one machine, as far as can be told without a container engine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from typer.main import get_command

from cluster.checks.config import unknown_variables
from cluster.cli.main import app
from pipeline.eventlog.redis.embedded.embedded_server import find_binary
from pipeline.eventlog.redis.server import Durability
from schemas.version import VERSION
from tests.support.eventlog.log_events import wait_for
from tests.test_layout import ROOT

PRODUCTION = ROOT / "cluster" / "production"
COMPOSE: dict[str, Any] = yaml.safe_load((PRODUCTION / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def mounts() -> Iterator[tuple[str, str, str]]:
    """(service, source, target) of every volume."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            yield name, source, target


def told(name: str) -> dict[str, str]:
    given: dict[str, str] = SERVICES[name].get("environment", {})
    return given


def options_of(*command: str) -> set[str]:
    found = get_command(app)
    for word in command:
        assert hasattr(found, "commands")
        found = found.commands[word]
    return {name for parameter in found.params for name in parameter.opts}


def test_every_file_that_is_mounted_is_here_and_every_volume_is_declared() -> None:
    for name, source, _ in mounts():
        if source.startswith("."):
            assert (PRODUCTION / source).exists(), f"{name}: {source}"
        else:
            assert source in COMPOSE["volumes"], f"{name}: {source}"
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"]), name
        assert re.search(r":[\w.-]*\d", service["image"]), f"{name} has no version"
        assert service["restart"] == "unless-stopped"


def test_only_the_proxy_can_be_reached_and_no_secret_stands_in_the_files() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("grafana") == ["127.0.0.1:3000:3000"]
    assert list(published) == ["caddy"]
    text = (PRODUCTION / "compose.yaml").read_text("utf-8")
    variables = set(re.findall(r"\$\{(\w+)", text))
    example = (PRODUCTION / "example.env").read_text("utf-8")
    assert variables == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert re.findall(r"^\w+PASSWORD=(.+)$", example, re.MULTILINE) == []
    assert "secrets/" in (PRODUCTION / ".gitignore").read_text()
    for name, service in SERVICES.items():  # everybody on the machine may read the list of processes
        said = str([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert "PASSWORD" not in said, name


def test_nothing_but_the_page_runs_in_the_page_s_origin() -> None:
    """A script of another program there could read the token of who is signed in."""
    caddy = (PRODUCTION / "Caddyfile").read_text("utf-8")
    assert re.findall(r"reverse_proxy (\S+)", caddy) == ["{$RHAPSODE_UPSTREAM:rhapsode:8000}"]


def test_rhapsode_is_told_real_settings_and_options() -> None:
    assert unknown_variables(told("rhapsode")) == []
    program, command, *arguments = SERVICES["rhapsode"]["command"]
    assert (program, command) == ("rhapsode", "up")
    assert {one for one in arguments if one.startswith("--")} <= options_of("up")
    assert told("rhapsode")["REDIS_URL"].endswith("@log:6379/0")
    assert SERVICES["rhapsode"]["depends_on"]["log"]["condition"] == "service_healthy"
    health = SERVICES["rhapsode"]["healthcheck"]["test"]
    port = arguments[arguments.index("--port") + 1]
    assert health[-1] == f"http://127.0.0.1:{port}/v1/health"
    caddy = (PRODUCTION / "Caddyfile").read_text("utf-8")
    assert f"{{$RHAPSODE_UPSTREAM:rhapsode:{port}}}" in caddy
    [scraped] = yaml.safe_load((PRODUCTION / "prometheus.yml").read_text())["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"rhapsode:{port}"]}]
    assert scraped["authorization"]["credentials_file"] == "/run/secrets/prometheus-key"


COMPOSE_COMMAND = next(
    (
        command
        for command in (shutil.which("docker-compose"), "/usr/libexec/docker/cli-plugins/docker-compose")
        if command and Path(command).is_file()
    ),
    None,
)


@pytest.mark.skipif(COMPOSE_COMMAND is None, reason="needs Docker Compose (no daemon)")
def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    example = (PRODUCTION / "example.env").read_text("utf-8")
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"^(\w+PASSWORD)=$", r"\1=secret", example, flags=re.MULTILINE), "utf-8")
    command = [
        COMPOSE_COMMAND,
        "--env-file",
        str(filled),
        "--file",
        str(PRODUCTION / "compose.yaml"),
        "config",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


def test_the_image_is_that_of_this_version() -> None:
    image = f"localhost/rhapsode-gateway:{VERSION}"
    assert SERVICES["rhapsode"]["image"] == f"${{RHAPSODE_IMAGE:-{image}}}"
    assert f"RHAPSODE_IMAGE={image}\n" in (PRODUCTION / "example.env").read_text("utf-8")


def test_the_image_says_where_it_listens_and_when_it_is_well() -> None:
    text = (ROOT / "cluster" / "images" / "gateway" / "Containerfile").read_text("utf-8")
    assert "\nEXPOSE 8000\n" in text
    assert "http://127.0.0.1:8000/v1/health" in text
    [command] = re.findall(r'^CMD \["sh", "-c", "(.*)"\]$', text, re.MULTILINE)
    made, started = command.split(" && ")
    assert started == "exec rhapsode up --host 0.0.0.0"  # exec: SIGTERM reaches it
    assert {one for one in made.split() if one.startswith("--")} <= options_of("keys", "create")
    check = text.split("HEALTHCHECK")[1].split("\n")[1]
    assert SERVICES["rhapsode"]["healthcheck"]["test"][1:] == re.findall(r'"([^"]+)"', check)


def test_the_unit_starts_what_there_is(tmp_path: Path) -> None:
    text = (PRODUCTION / "rhapsode.service").read_text("utf-8")
    [line] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, command, *arguments = line.split()
    assert (program, command) == ("/opt/rhapsode/.venv/bin/rhapsode", "up")
    assert {one for one in arguments if one.startswith("--")} <= options_of("up")
    assert "ReadWritePaths=/tmp" in text  # strict protection would keep Ray from its folder
    config = Path(arguments[arguments.index("--config") + 1])
    assert (ROOT / config.relative_to("/opt/rhapsode")).is_file()
    variables = dict(one.split("=", 1) for one in re.findall(r"^Environment=(.*)$", text, re.MULTILINE))
    assert unknown_variables(variables) == []
    if verifier := shutil.which("systemd-analyze"):
        unit = tmp_path / "rhapsode.service"
        unit.write_text(text.replace("/opt/rhapsode/.venv/bin/rhapsode", "/bin/true"))
        done = subprocess.run([verifier, "verify", unit], capture_output=True, text=True, check=False)
        assert "rhapsode.service" not in done.stderr, done.stderr


def test_the_log_server_loses_nothing_as_it_is_configured(tmp_path: Path, socket_folder: Path) -> None:
    socket = socket_folder / "log.sock"
    [mounted] = SERVICES["log"]["configs"]
    password = tmp_path / "password.conf"
    content = COMPOSE["configs"][mounted["source"]]["content"]
    password.write_text(re.sub(r"\$\{LOG_PASSWORD:[^}]*\}", "secret", content), "utf-8")
    here = {
        "valkey-server": find_binary(),
        "/etc/valkey/log.conf": PRODUCTION / "log.conf",
        mounted["target"]: password,
        "/data": tmp_path,
    }
    command = [str(here.get(word, word)) for word in SERVICES["log"]["command"]]
    with subprocess.Popen(
        [*command, "--port", "0", "--unixsocket", str(socket)], stdout=subprocess.DEVNULL
    ) as server:
        try:
            wait_for(socket.exists, 60)
            with redis.Redis(
                unix_socket_path=str(socket), password="secret", decode_responses=True
            ) as client:
                assert client.config_get("requirepass") == {"requirepass": "secret"}
                about = Durability.read(client.info("everything"))
                assert (about.eviction_policy, about.append_only) == ("volatile-ttl", True)
                assert not about.warnings
        finally:
            server.terminate()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
def test_prometheus_takes_its_configuration_with_our_rules(tmp_path: Path) -> None:
    for name, source, target in mounts():
        if name == "prometheus" and source.startswith("."):
            place = tmp_path / Path(target).relative_to("/etc/prometheus")
            place.parent.mkdir(exist_ok=True)
            shutil.copy(PRODUCTION / source, place)
    text = (tmp_path / "prometheus.yml").read_text()
    key = tmp_path / "key"
    key.touch()
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/prometheus-key", str(key)))
    done = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Debian's caddy")
def test_caddy_takes_its_configuration() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", PRODUCTION / "Caddyfile"]
    done = subprocess.run(
        command,
        env={**os.environ, "RHAPSODE_DOMAIN": "localhost"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
