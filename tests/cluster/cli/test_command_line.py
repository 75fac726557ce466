"""The command line where nothing runs: it explains itself, and an expected problem is one sentence."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cluster.checks import accelerators
from cluster.cli.main import app
from cluster.local import deploy, port_hold, process_sweep, up
from cluster.local.port_hold import held_port
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from cluster.terminal.run_state import Process, RunState
from pipeline.eventlog.redis.embedded import embedded_server
from schemas import version
from schemas.version import BUILD, VERSION

COMMANDS = ["up", "down", "status", "doctor", "check-config", "say", "narrate", "replay"]
ENDED = Process(pid=os.getpid(), started=0.0)
"""The launcher of a crashed run; its number is another process's now."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; what `up` changes in its process is put back."""
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REDIS_URL", raising=False)
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path / "home"
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that would run for ever."""
    command = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def rhapsode(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def a_run(launcher: psutil.Process, /, **changes: object) -> RunState:
    run = RunState(launcher=Process.of(launcher), url="http://127.0.0.1:1/", application="", ray_folder="")
    return run.model_copy(update=changes)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(command: str) -> None:
    said = rhapsode(command, "--help")
    assert said.exit_code == 0
    assert f"Example: rhapsode {command}" in said.stdout


def test_the_program_says_its_version() -> None:
    said = rhapsode("--version")
    assert (said.exit_code, said.stdout) == (0, f"rhapsode {BUILD}\n")
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


def test_the_commit_of_a_checkout_is_read_without_git(tmp_path: Path) -> None:
    """A plain checkout, one with packed references, a worktree, a loose head, and none at all."""
    commit = "82d1a86c" * 5
    git = tmp_path / "one" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    assert version._commit(tmp_path / "one") == commit
    (git / "refs" / "heads" / "main").write_text(f"{commit[::-1]}\n")
    assert version._commit(tmp_path / "one") == commit[::-1]
    tree = git / "worktrees" / "two"
    tree.mkdir(parents=True)
    (tree / "commondir").write_text("../..\n")
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / ".git").write_text(f"gitdir: {tree}\n")
    assert version._commit(tmp_path / "two") == commit[::-1]
    (tree / "HEAD").write_text(f"{commit}\n")
    assert version._commit(tmp_path / "two") == commit
    assert version._commit(tmp_path) == ""


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/home/run.json")

    monkeypatch.setattr(up, "run", full)
    said = rhapsode("up")
    assert said.exit_code == 1
    assert "The disk is full: /home/run.json. Make room, and try again." in " ".join(said.output.split())


def test_the_bare_command_lists_what_there_is_and_where_to_begin() -> None:
    said = rhapsode().output
    assert all(command in said for command in COMMANDS)
    assert "Begin with: rhapsode up" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["say", "Hello", "--out", "x.wav"],
        ["narrate", "Hello"],
        ["metrics"],
        ["replay", "0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f"],
    ],
)
def test_a_command_for_a_running_system_says_how_to_start_it(arguments: list[str]) -> None:
    said = rhapsode(*arguments)
    assert (said.exit_code, said.stdout) == (3, "")
    assert said.stderr == "Error: Rhapsode is not running.\nStart it with: rhapsode up\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["say", "  ", "--out", "x.wav"], "There is nothing to say."),
        (["say", "-", "--out", "x.wav"], "There is nothing to say."),
        (["narrate", ""], "There is nothing to say."),
        (["say", "Hello", "--out", "x.flac"], "must end in one of .wav, .mp3, .ogg, .opus"),
        (["say", "Hello", "--out", "nowhere/x.wav"], "There is no folder"),
        (["check-config", "nowhere.yaml"], "nowhere.yaml cannot be read: No such file or directory."),
        (["up", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["status", "--url", "127.0.0.1:8000"], "--url '127.0.0.1:8000' is no address.\nWrite it as http://"),
        (["top", "--url", "http://[x"], "is no address"),
        (["metrics", "--url", "http://x", "--config", "y.yaml"], "Leave it out here."),
        (["metrics", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["drian"], "Did you mean 'drain'?"),
        (["drain", "--gatway", "x"], "No such option: --gatway"),
        (["reload", "now"], "extra argument"),
        (["deploy", "serve_config.yaml", "--address", "nowhere"], "Write HOST:PORT, or auto."),
        (["deploy", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["top", "--over", "-1"], "Invalid value for '--over'"),
        (["up", "--pretend-gpus", "-1"], "Invalid value for '--pretend-gpus'"),
        (["up", "--config", "cluster/gpu.yaml"], "this machine shows 0.\nTo try it out"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_traceback(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "cards_here", lambda: 0)
    result = rhapsode(*arguments, stdin="\n")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_nothing_running_is_said_for_people_and_for_scripts() -> None:
    assert rhapsode("status").exit_code == 3
    assert "not running" in rhapsode("status").stdout
    assert json.loads(rhapsode("status", "--json").stdout)["running"] is False
    assert rhapsode("down").stdout == "Nothing was running.\n"


def test_the_doctor_looks_at_everything_and_advises_on_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = json.loads(rhapsode("doctor", "--json").stdout)
    assert {"python", "disk", "memory", "ray", "config", "weights", "log", "port", "player"} <= {
        result["name"] for result in results
    }
    assert all(result["advice"] for result in results if result["verdict"] != "ok")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    said = rhapsode("doctor")
    assert said.exit_code == 1
    assert "nothing listens there" in said.stdout
    assert "without either rhapsode up brings a server of its own" in said.stdout


def test_the_doctor_looks_at_the_file_that_is_meant(tmp_path: Path) -> None:
    wrong = tmp_path / "mine.yaml"
    wrong.write_text(Path("serve_config.yaml").read_text().replace("engine: llama", "engin: llama"))
    said = rhapsode("doctor", "--config", str(wrong))
    assert said.exit_code == 1
    assert "did you mean engine?" in said.stdout


def test_a_log_server_that_cannot_be_used_is_found_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setenv("RHAPSODE_CACHE", str(tmp_path / "cache"))
    said = rhapsode("up")
    assert said.exit_code == 1
    assert "The log server redis://127.0.0.1:1/0 refuses connections: nothing listens there." in said.stderr
    assert "secret" not in said.output
    assert not (tmp_path / "cache").exists(), "the models were prepared for a system that cannot start"


def test_the_state_says_where_the_log_is_and_only_its_user_can_read_it(home: Path) -> None:
    home.mkdir()
    run_state.write(home, a_run(psutil.Process()))
    assert (home / "run.json").stat().st_mode & 0o777 == 0o600


def test_another_terminal_knows_the_log_server_that_was_given_to_up(home: Path, tmp_path: Path) -> None:
    """With its password, which is in no file."""
    command = [str(embedded_server.find_binary()), "--port", "0", "--unixsocket", str(tmp_path / "s")]
    sleep = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    server = subprocess.Popen([*command, "--requirepass", "secret", "--dir", str(tmp_path), "--save", ""])
    given = {"REDIS_URL": f"unix://:secret@{tmp_path}/s", "PATH": os.environ["PATH"]}
    launcher = subprocess.Popen(sleep, stdout=subprocess.PIPE, env=given)
    try:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        while not (tmp_path / "s").exists():
            assert server.poll() is None
        with run_state.only_one(home):
            run = a_run(psutil.Process(launcher.pid), ready=True, log=f"unix://{tmp_path}/s")
            run_state.write(home, run)
            log = json.loads(rhapsode("status", "--json").stdout)["log"]
            examined = {one["name"]: one for one in json.loads(rhapsode("doctor", "--json").stdout)}
        assert "secret" not in (home / "run.json").read_text()
    finally:
        for process in (server, launcher):
            process.kill()
            process.wait()
    assert log["server"].startswith("valkey")
    assert log["memory_mb"] > 0
    assert "appendonly yes" in " ".join(log["warnings"])
    assert examined["log"]["verdict"] == "bad"
    assert "appendonly yes" in examined["log"]["found"]


def test_a_start_in_the_background_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("RHAPSODE_LOGS__URL", "redis://127.0.0.1")
    said = rhapsode("up", "--detach")
    assert said.exit_code == 1
    assert "did you mean RHAPSODE_LOG__URL?" in said.stderr
    assert not run_state.is_running(home)


# ---------------------------------------------------------------- ports


def test_a_busy_port_gives_way_to_the_next_unless_it_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with held_port("127.0.0.1", port, insist=False) as next_one:
            assert next_one > port
        with (
            pytest.raises(CliError, match=f"Port {port} is in use"),
            held_port("127.0.0.1", port, insist=True),
        ):
            pass


def test_two_systems_never_share_a_port_though_gateways_of_one_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    with (
        held_port("127.0.0.1", free, insist=False) as first,
        held_port("127.0.0.1", free, insist=False) as second,
        socket.socket() as gateway,
    ):
        assert first != second
        gateway.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        gateway.bind(("127.0.0.1", first))
    with held_port("127.0.0.1", first, insist=True) as again:
        assert again == first


def test_a_folder_for_locks_that_is_not_ours_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"rhapsode-{os.getuid()}").write_text("somebody else's")
    monkeypatch.setattr(port_hold, "_LOCKS", tmp_path)
    with pytest.raises(CliError, match="cannot be written to"), held_port("127.0.0.1", 8000, insist=False):
        pass


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CliError), held_port("no.such.host.invalid", 8000, insist=True):
        pass


# ---------------------------------------------------------------- who runs


def test_of_two_that_start_at_once_one_is_told_to_wait(home: Path) -> None:
    with run_state.only_one(home) as first, run_state.only_one(home) as second:
        assert (first, second) == (True, False)
        assert run_state.is_running(home)
    assert not run_state.is_running(home)


def test_a_second_up_points_to_the_first(home: Path) -> None:
    with run_state.only_one(home):
        run_state.write(home, a_run(psutil.Process(), ready=True))
        said = rhapsode("up")
    assert said.exit_code == 0
    assert "Rhapsode is running already: http://127.0.0.1:1/" in said.stdout


@pytest.mark.parametrize("how", [[], ["--detach"]])
@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        (["--port", "1"], True),
        (["--config", "mine.yaml"], True),
        (["--port", "8742"], False),
        (["--host", "0.0.0.0"], False),
        (["--scripted"], False),
        (["--config", "other.yaml"], False),
    ],
)
def test_a_wish_that_what_runs_does_not_fulfil_is_an_error(
    home: Path, how: list[str], wish: list[str], fits: bool
) -> None:
    with run_state.only_one(home):
        run_state.write(home, a_run(psutil.Process(), ready=True, config=str(Path("mine.yaml").absolute())))
        said = rhapsode("up", *how, *wish)
    assert said.exit_code == (0 if fits else 2)
    if not fits:
        assert f"runs already at http://127.0.0.1:1/, and not with {wish[0]}" in said.stderr


@pytest.mark.parametrize("command", ["top", "drain", "dead list"])
def test_an_address_where_nothing_listens_is_what_is_told(command: str) -> None:
    said = rhapsode(*command.split(), "--url", "http://127.0.0.1:1")
    assert said.exit_code == 1
    assert "No answer from http://127.0.0.1:1: " in said.stderr
    assert "refused" in said.stderr
    assert "Check the address" in said.stderr


def test_a_deployment_to_where_no_ray_is_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "_PROBE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet = rhapsode(
            "deploy", "cluster/cluster.yaml", "--address", f"127.0.0.1:{silent.getsockname()[1]}"
        )
    dead = rhapsode("deploy", "cluster/cluster.yaml", "--address", "127.0.0.1:1")
    assert (dead.exit_code, quiet.exit_code) == (1, 1)
    assert "Nothing listens at 127.0.0.1:1." in dead.stderr
    assert "does not answer as Ray does" in quiet.stderr


@pytest.mark.parametrize("text", ["", "{", '{"launcher": 7}', "[]"])
def test_a_damaged_state_file_is_no_state(home: Path, text: str) -> None:
    home.mkdir()
    (home / "run.json").write_text(text)
    assert run_state.read(home) is None
    assert rhapsode("down").exit_code == 0


def test_the_rest_of_a_crashed_run_is_ended_and_forgotten(
    home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    home.mkdir()
    left = Process.of(psutil.Process(sleeper.pid))
    run_state.write(home, a_run(psutil.Process(), launcher=ENDED, processes=(left,)))
    assert "Ended 1 process that" in rhapsode("down").stdout
    assert sleeper.poll() is not None
    assert run_state.read(home) is None


def test_a_process_that_only_has_the_same_number_is_left_alone(
    home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    home.mkdir()
    other = Process(pid=sleeper.pid, started=psutil.Process(sleeper.pid).create_time() - 100)
    run_state.write(home, a_run(psutil.Process(), launcher=ENDED, processes=(other,)))
    rhapsode("down")
    assert sleeper.poll() is None


def test_a_process_that_ignores_the_request_is_made_to_end() -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        assert process_sweep.end([psutil.Process(stubborn.pid)], grace_s=0.05) == 1
        assert stubborn.poll() is not None


def test_a_home_that_cannot_be_written_is_a_sentence(home: Path) -> None:
    home.write_text("a file where a folder should be")
    said = rhapsode("up")
    assert said.exit_code == 1
    assert "cannot be used" in said.stderr


# ---------------------------------------------------------------- Ray


def test_ray_is_not_imported_before_it_is_told_to_listen_on_the_loopback_only() -> None:
    modules = "cluster.cli.main, cluster.local.up, cluster.checks.exposure, cluster.local.detach"
    code = f"import sys, {modules}; print([name for name in sys.modules if name == 'ray'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_start_has_a_token_of_its_own_that_only_we_can_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "somebody's")
    home.mkdir()
    (home / "ray-token").write_text("readable by all")
    up._prepare_ray(home)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_TOKEN" not in os.environ
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    first = token.read_text()
    assert len(first) == 64
    up._prepare_ray(home)
    assert token.read_text() != first
    assert [file.name for file in home.iterdir()] == ["ray-token"]


def test_an_operator_may_have_ray_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_enable_metrics_collection", "1")
    monkeypatch.delenv("RAY_event_stats", raising=False)
    home.mkdir()
    up._prepare_ray(home)
    found = [os.environ[name] for name in ("RAY_enable_metrics_collection", "RAY_event_stats")]
    assert found == ["1", "0"]


# ---------------------------------------------------------------- steps


def test_a_step_says_how_it_ended() -> None:
    console = Console(file=open(os.devnull, "w"), record=True)  # noqa: SIM115
    steps = Steps(console)
    with steps.step("Bread") as note:
        note("50 %")
        note("baked [and sliced]")
    with pytest.raises(ValueError, match="burnt"), steps.step("Cake"):
        raise ValueError("burnt")
    assert console.export_text() == "✓ Bread  baked [and sliced]\n✗ Cake\n"
