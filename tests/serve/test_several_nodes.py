"""docs/operating.md, "Several nodes": its commands as they stand there, on three nodes on this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import psutil
import pytest
import redis
import yaml

from cluster.client.http_client import Client
from loadtests.chaos.nodes_command import configuration
from loadtests.servers.rhapsode_process import free_port
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.embedded.embedded_server import find_binary
from tests.serve.conftest import STORY
from tests.serve.test_rolling_update import PEOPLE, Person, change, talking

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]

PAGE = Path(__file__).parent.parent.parent / "docs" / "operating.md"
HEAD = "127.0.0.2"
"""On the loopback, and none that Ray takes for a machine that can have one node only."""
START_S = 300.0
SMALL = "--num-cpus 4 --num-gpus 2 --object-store-memory 100000000"
"""What a node of this test has, whatever this machine has."""
QUIET = "--disable-usage-stats --include-log-monitor=false --block"


def documented() -> list[str]:
    """The section's commands, one after the other."""
    section = re.search(r"^## Several nodes\n(.*?)^## ", PAGE.read_text() + "\n## ", re.M | re.S)
    assert section is not None
    return [line.strip() for line in section[1].splitlines() if line.startswith("    ")]


@dataclass
class Site:
    """One machine that plays several: a home for each, the page's commands, and what they have started."""

    folder: Path
    log: str
    port: int = field(default_factory=free_port)
    nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def home(self, name: str, *, used_before: bool) -> Path:
        """A home for one user; Ray left a token of its own there where an earlier release ran."""
        home = self.folder / name
        (home / ".ray").mkdir(parents=True)
        if used_before:
            (home / ".ray/auth_token").write_text(name.encode().hex().ljust(64, "0"))
        return home

    def here(self, command: str) -> str:
        """The command with this site's names in the place of the page's."""
        command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        command = command.replace("redis://:PASSWORD@LOG:6379", self.log)
        return command.replace("HEAD:6379", f"{HEAD}:{self.port}").replace(
            "--port 6379", f"--port {self.port}"
        )

    def environment(self, home: Path) -> dict[str, str]:
        """As of a fresh login: nothing of Ray, and none of our variables."""
        system = ("PATH", "LANG", "IS_SANDBOX", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
        engines = ("LANGUAGE_MODEL", "TEXT_TO_SPEECH", "SPEECH_TO_TEXT", "QUALITY_SPEECH_TO_TEXT")
        kept = {name: value for name in system if (value := os.environ.get(name)) is not None}
        scripted = {f"RHAPSODE_{engine}__ENGINE": "scripted" for engine in engines}
        spare = {"RAY_prestart_worker_first_driver": "0"}  # a worker for each core, which nothing takes
        return kept | scripted | spare | {"HOME": str(home), "RAY_raylet_start_wait_time_s": "120"}

    def run(self, home: Path, *commands: str) -> "subprocess.CompletedProcess[str]":
        script = "\n".join(["set -eu", *map(self.here, commands)])
        return subprocess.run(
            ["bash", "-c", script], env=self.environment(home), capture_output=True, text=True, check=False
        )

    def start(self, home: Path, *commands: str) -> None:
        """The last command starts Ray and stays; returns when the node is one of the cluster."""
        started = self._started
        ports = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")
        own = [f"--node-ip-address {HEAD}", *(f"--{name} {free_port()}" for name in ports), SMALL, QUIET]
        if "--head" in commands[-1]:
            own += [f"--temp-dir {self.folder}/ray", "--include-dashboard=false"]
            own += [f"--ray-client-server-port {free_port()}"]
        script = "\n".join(["set -eu", *map(self.here, commands[:-1]), f"exec {self.here(commands[-1])} "])
        with (self.folder / "ray.txt").open("ab") as said:
            node = subprocess.Popen(
                ["bash", "-c", script + " ".join(own)],
                env=self.environment(home),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.nodes.append(node)
        deadline = monotonic() + START_S
        while self._started <= started:
            assert node.poll() is None, (self.folder / "ray.txt").read_text()[-3_000:]
            assert monotonic() < deadline, (self.folder / "ray.txt").read_text()[-3_000:]
            sleep(0.1)

    @property
    def _started(self) -> int:
        """Nodes that have said that they run, each in a line."""
        said = self.folder / "ray.txt"
        return said.read_text().count("Ray runtime started") if said.exists() else 0

    def end(self) -> None:
        for node in reversed(self.nodes):
            top = psutil.Process(node.pid)
            tree = [top, *top.children(recursive=True)]
            for one in tree:
                try:
                    one.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(tree, timeout=30)
            node.wait()
        self.nodes.clear()
        shutil.rmtree(self.folder / "ray", ignore_errors=True)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[str]:
    """A log server with a password; its URL."""
    port = free_port()
    command = [str(find_binary()), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", "secret"]
    options = ["--appendonly", "yes", "--dir", str(tmp_path), "--save", ""]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as server:
        yield f"redis://:secret@127.0.0.1:{port}"
        server.kill()


@pytest.fixture
def site(log: str) -> Iterator[Site]:
    # Ray keeps sockets below it, whose paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="n", ignore_cleanup_errors=True) as short:
        found = Site(Path(short), log)
        yield found
        found.end()


def three_nodes(site: Site) -> tuple[Path, Path, str, str]:
    """The homes of the first node and of the operator, and the commands that name the token and deploy."""
    make_folder, make_token, token, log, *serving, head, gateway, speech, deploy = documented()
    first = site.home("first", used_before=False)
    others = [site.home(f"other{number}", used_before=number != 1) for number in range(3)]
    assert site.run(first, make_folder, make_token).returncode == 0
    secret = first / ".config/rhapsode/ray-token"
    assert secret.stat().st_mode & 0o777 == 0o600
    for other in others:
        shutil.copytree(secret.parent, other / ".config/rhapsode")
    site.start(first, token, log, *serving, head)
    site.start(others[0], token, log, *serving, gateway)
    site.start(others[1], token, log, *serving, speech)
    return first, others[2], token, deploy


def described(folder: Path, gateways: int) -> dict[str, Any]:
    """The shipped file with scripted engines, and the gateways on the one node that is for them."""
    tree, _ = configuration(folder, 1, free_port())
    embedded_server.stop(folder)  # it comes with the configuration; this cluster has a log server of its own
    args = tree["applications"][0]["args"]
    del args["log"], args["gateway"]["direct_port"]
    for part in ("text_to_speech", "quality_speech_to_text"):
        args["placement"][part]["pool"] = "speech"
    for deployment in tree["applications"][0]["deployments"]:
        if deployment["name"] == "Gateway":
            del deployment["max_replicas_per_node"]
            deployment["autoscaling_config"] |= {"min_replicas": gateways, "initial_replicas": gateways}
    return tree


def deployed(site: Site, home: Path, *commands: str) -> str:
    """Words of the command that has deployed, once Ray knows all nodes."""
    deadline = monotonic() + START_S
    while "No node is of the pool" in (done := site.run(home, *commands)).stderr:
        assert monotonic() < deadline
    assert done.returncode == 0, done.stderr
    return done.stderr


def key_of(site: Site, first: Path, folder: Path) -> str:
    made = site.run(first, f"RHAPSODE_HOME={folder} .venv/bin/rhapsode keys create --principal me")
    return made.stdout.strip()


def test_the_documented_commands_make_a_cluster_that_asks_for_a_token(site: Site, tmp_path: Path) -> None:
    first, operator, token, deploy = three_nodes(site)
    tree = described(tmp_path, 1)
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(tree))
    deploy = deploy.replace("cluster/cluster.yaml", str(file))

    # Its own home has a token, as an earlier release left it, and it is not the cluster's.
    refused = site.run(operator, deploy)
    assert refused.returncode == 1
    assert "does not take the token that is here" in refused.stderr
    assert "gcs_client.cc" not in refused.stderr

    said = deployed(site, operator, token, deploy)
    assert "Python proxy" not in said
    assert site.log.replace(":secret@", "") in said

    key = {"Authorization": f"Bearer {key_of(site, first, tmp_path)}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{tree['http_options']['port']}", timeout=60) as http:
        assert http.get("/v1/health").json()["status"] == "ok"
        assert http.post("/v1/sessions", json={}).status_code == 401
        assert http.post("/v1/sessions", json={}, headers=key).status_code == 201
        assert http.get("/v1/sessions", headers=key | {"X-Long": "a" * 65_000}).status_code == 200
    assert "haproxy" in {
        process.name() for process in psutil.Process(site.nodes[0].pid).children(recursive=True)
    }
    with redis.Redis.from_url(site.log) as server:
        assert list(server.scan_iter("ev:*", count=1_000)), "the sessions are in another log"


@pytest.mark.long
@pytest.mark.anyio
async def test_a_new_version_behind_the_proxy_of_a_cluster_loses_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, operator, token, deploy = three_nodes(site)
    tree = described(tmp_path, 2)
    told = tmp_path / "told.json"
    told.write_text(json.dumps({"reply": STORY, "delta_chars": 5, "per_delta_ms": 35, "hurries": False}))
    tree["applications"][0]["args"]["language_model"]["script"] = str(told)
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(tree))
    commands = token, deploy.replace("cluster/cluster.yaml", str(file))
    deployed(site, operator, *commands)
    monkeypatch.setenv("RHAPSODE_KEY", key_of(site, first, tmp_path))
    url = f"http://127.0.0.1:{tree['http_options']['port']}"
    people = [Person(url) for _ in range(PEOPLE)]
    change(file, "release", "two")
    await talking(people, lambda: deployed(site, operator, *commands))
    async with Client(url) as client:
        for person in people:
            log = [one async for one in client.events(person.session, follow="false", audio="opus")]
            assert person.events == log[: len(person.events)]
            assert person.ends == ["turn.completed"] * len(person.turns)
            assert all(person.text(turn) == STORY for turn in person.turns)
    moved = sum(event.type == "turn.resumed" for person in people for event in person.events)
    assert moved, "no turn was handed over, so the test shows nothing"


def test_a_cluster_without_authentication_is_refused(site: Site) -> None:
    _, _, _, log, *_, head, _, _, deploy = documented()
    home = site.home("clean", used_before=False)
    site.start(home, log, head)
    refused = site.run(home, deploy)
    assert refused.returncode == 1
    assert "asks nobody for a token" in refused.stderr
    assert "or add --insecure" in refused.stderr
    taken = site.run(home, f"{deploy} --insecure")
    assert "No node is of the pool gateway, speech." in taken.stderr, "it was not looked at any further"
