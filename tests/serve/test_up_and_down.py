"""`rhapsode up` and `down` as people use them: real processes, a real Ray, scripted engines."""

import ipaddress
import json
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import grpc
import httpx
import psutil
import pytest

from cluster.checks import config
from cluster.checks.placement_check import ON_DEMAND
from cluster.terminal import run_state
from cluster.terminal.run_state import RunState
from tests.serve.conftest import Rhapsode, replicas

pytestmark = [pytest.mark.serve, pytest.mark.timeout(3_000)]

ALL_HEALTHY = dict.fromkeys(config.DEPLOYMENTS, "healthy")


def await_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=120)
    assert alive == []


def family(run: RunState) -> list[psutil.Process]:
    """Everything that runs because of `run`, but for the log server."""
    launcher = run.launcher.find()
    assert launcher is not None
    return [launcher, *launcher.children(recursive=True)]


def test_everything_answers_at_the_one_address(running: RunState, rhapsode: Rhapsode) -> None:
    """Also after other tests have killed some of it: what died is replaced."""
    deadline = monotonic() + 600
    while (found := json.loads(rhapsode("status", "--json").stdout))["replicas"] != ALL_HEALTHY:
        assert monotonic() < deadline, found
    assert httpx.get(f"{running.url}v1/health", timeout=20).json()["status"] == "ok"
    assert found["url"] == running.url
    assert found["log"]["memory_mb"] > 0


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    """Addresses beyond the loopback at which the process takes connections or datagrams."""
    try:
        sockets = process.net_connections("inet")
    except psutil.Error:
        return []
    open_ones = [one.laddr for one in sockets if one.status == psutil.CONN_LISTEN or not one.raddr]
    return [(one.ip, one.port) for one in open_ones if one and not on_loopback(one.ip)]


def on_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def test_nothing_listens_beyond_this_machine_but_serves_own_port_of_each_replica_which_asks_for_a_token(
    running: RunState,
) -> None:
    """Serve binds one gRPC port of each replica to every address, and has no setting for that."""
    exposed = {process: found for process in family(running) if (found := listening(process))}
    ours = {one for name in config.DEPLOYMENTS for one in replicas(name)}
    assert [process.cmdline() for process in exposed if process not in ours] == []
    assert exposed, "Serve listens where it should: the documents need not name it any more"
    for found in exposed.values():
        [(_, port)] = found
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=60)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_no_process_of_ray_runs_that_nothing_here_uses(running: RunState) -> None:
    lines = [" ".join(process.cmdline()) for process in family(running)]
    assert any("gcs_server" in line for line in lines)
    helpers = ("/monitor.py", "/log_monitor.py", "/dashboard.py", "ray::ProxyActor")
    assert not [line for line in lines if any(helper in line for helper in helpers)]


def test_the_token_of_ray_is_in_a_file_that_only_we_can_read(
    running: RunState, environment: dict[str, str]
) -> None:
    token = Path(environment["RHAPSODE_HOME"], "ray-token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_logs_are_shown_by_their_part(running: RunState, rhapsode: Rhapsode) -> None:
    assert "raylet.out | " in rhapsode("logs", "ray", "--lines", "3").stdout
    told = rhapsode("logs", "nobody")
    assert told.returncode == 2
    parts = ("gateway", "languagemodel", "log", "ray", "serve", "speechtotext", "texttospeech")
    assert all(part in told.stderr for part in (*parts, "up", "workers"))


def test_top_knows_every_replica(running: RunState, rhapsode: Rhapsode) -> None:
    shown = rhapsode("top", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["log"]["up"] == 1
    assert {"Gateway", "LanguageModel", "TextToSpeech", "Workers"} <= set(found["replicas"])
    assert all(states["running"] >= 1 for name, states in found["replicas"].items() if name not in ON_DEMAND)
    roles = {name.partition("-")[0] for name in found["processes"]}
    assert "gateway" in roles


def test_a_second_up_points_to_the_running_one(running: RunState, rhapsode: Rhapsode) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        again = rhapsode(*arguments)
        assert again.returncode == 0
        assert running.url in again.stdout


def test_words_and_sound_come_out_of_the_running_system(
    running: RunState, rhapsode: Rhapsode, tmp_path: Path
) -> None:
    said = rhapsode("narrate", "Tell me a story", "--out", str(tmp_path / "story.ogg"))
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("› Tell me a story\n\n")
    assert (tmp_path / "story.ogg").read_bytes().startswith(b"OggS")
    session = said.stderr.split("rhapsode replay ")[1].strip()
    assert rhapsode("replay", session, "--speed", "0").stdout == said.stdout


def test_a_port_that_was_asked_for_and_is_busy_is_refused(
    running: RunState, environment: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = environment | {"RHAPSODE_HOME": str(tmp_path)}
    port = running.url.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "cluster.cli.main", "up", "--port", port]
    refused = subprocess.run(command, env=elsewhere, capture_output=True, text=True, timeout=600, check=False)
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stderr


def test_where_ray_dies_the_launcher_starts_everything_again_at_the_same_address(
    running: RunState, environment: dict[str, str]
) -> None:
    launcher = running.launcher.find()
    assert launcher is not None
    [raylet] = [child for child in launcher.children() if child.name() == "raylet"]
    everybody = [process for process in family(running) if process != launcher]
    raylet.kill()
    await_gone(everybody)
    home, deadline = Path(environment["RHAPSODE_HOME"]), monotonic() + 600
    while (again := run_state.running(home)) is None:
        assert monotonic() < deadline
        sleep(0.1)
    assert (again.launcher, again.url) == (running.launcher, running.url)
    assert httpx.get(f"{running.url}v1/health", timeout=20).json()["status"] == "ok"


def test_after_the_launcher_was_killed_down_leaves_nothing_running(
    running: RunState, rhapsode: Rhapsode, environment: dict[str, str]
) -> None:
    everybody = family(running)
    launcher = running.launcher.find()
    assert launcher is not None
    launcher.kill()
    launcher.wait(10)
    assert rhapsode("status").returncode == 3
    assert rhapsode("down").returncode == 0
    await_gone(everybody)
    assert rhapsode("down").stdout == "Nothing was running.\n"
    assert "raylet.out | " in rhapsode("logs", "ray", "--lines", "3").stdout, "a crash can be looked into"
    assert not list(Path(environment["RHAPSODE_HOME"], "log").glob("*.sock"))


def test_a_signal_while_it_starts_stops_what_there_is(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cluster.cli.main", "up", "--scripted", "--port", str(port)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as starting:
        home, deadline = Path(environment["RHAPSODE_HOME"]), monotonic() + 600
        while (found := run_state.read(home)) is None or len(found.processes) < 2:
            assert monotonic() < deadline
            assert starting.poll() is None
            sleep(0.05)
        everybody = family(found)
        starting.send_signal(signal.SIGTERM)
        said, _ = starting.communicate(timeout=600)
    assert "Stopped." in said
    await_gone(everybody)
    assert run_state.read(home) is None
    assert not run_state.is_running(home)
