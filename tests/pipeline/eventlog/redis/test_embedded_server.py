"""The embedded server: one per home, whoever starts it, however it dies."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.errors import LogUnavailable
from schemas.settings import LogSettings
from tests.support.eventlog.log_events import kill_server, raw

PROCESSES = 12


def _ensure(home: Path, answer: Connection) -> None:
    server = embedded_server.ensure(home, LogSettings())
    answer.send((server.pid, server.started))


def storm(home: Path) -> list[tuple[int, bool]]:
    """Many processes want the server at the same moment; their pids and who started it."""
    fork = multiprocessing.get_context("fork")
    ends = [fork.Pipe(duplex=False) for _ in range(PROCESSES)]
    processes = [fork.Process(target=_ensure, args=(home, send)) for _, send in ends]
    for process in processes:
        process.start()
    answers = [receive.recv() for receive, _ in ends if receive.poll(30)]
    for process in processes:
        process.join(10)
    for receive, send in ends:
        receive.close()
        send.close()
    return answers


def test_of_many_that_start_the_server_one_does(home: Path) -> None:
    for kept in range(3):
        answers = storm(home)
        assert len(answers) == PROCESSES
        assert len({pid for pid, _ in answers}) == 1
        assert [started for _, started in answers].count(True) == 1
        with raw(home) as server:
            assert server.incr("counter") == kept + 1
        kill_server(home)


def test_the_server_outlives_whoever_started_it(home: Path) -> None:
    [(pid, _), *_] = storm(home)
    status = embedded_server.status(home)
    assert status is not None
    assert (status.pid, status.started) == (pid, False)
    assert os.getsid(pid) != os.getsid(0)


def test_stopping_keeps_the_events_and_ends_the_process(home: Path) -> None:
    first = embedded_server.ensure(home, LogSettings(durability="always"))
    with raw(home) as server:
        server.set("kept", "yes")
        assert server.config_get("appendfsync")["appendfsync"] == "always"
    assert embedded_server.stop(home)
    assert not embedded_server.stop(home)
    assert embedded_server.status(home) is None
    second = embedded_server.ensure(home, LogSettings())
    assert second.started
    assert second.pid != first.pid
    with raw(home) as server:
        assert server.get("kept") == b"yes"


def test_a_process_that_outlives_its_system_does_not_start_the_stopped_server_again(home: Path) -> None:
    """`rhapsode down` left a log server that a gateway had started after the stop."""
    embedded_server.ensure(home, LogSettings())
    assert embedded_server.stop(home)
    with pytest.raises(LogUnavailable, match="was stopped"):
        embedded_server.revive(home, LogSettings())
    assert embedded_server.status(home) is None
    embedded_server.ensure(home, LogSettings())
    kill_server(home)
    embedded_server.revive(home, LogSettings())
    assert embedded_server.status(home) is not None


def test_a_server_that_is_dead_when_it_is_stopped_stays_dead(home: Path) -> None:
    embedded_server.ensure(home, LogSettings())
    kill_server(home)
    assert not embedded_server.stop(home)
    with pytest.raises(LogUnavailable, match="was stopped"):
        embedded_server.revive(home, LogSettings())


def test_a_server_that_outlives_its_stop_is_revived_for_the_next_system(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`stop` raises where the server does not end in time; the next `up` finds it and uses it."""
    embedded_server.ensure(home, LogSettings())
    with monkeypatch.context() as unheard:
        unheard.setattr(embedded_server, "_ask", lambda *_, **__: None)
        assert not embedded_server.stop(home)
    assert not embedded_server.ensure(home, LogSettings()).started
    kill_server(home)
    embedded_server.revive(home, LogSettings())
    assert embedded_server.status(home) is not None


def _ensures(home: Path, enough: Event) -> None:
    while not enough.is_set():
        embedded_server.ensure(home, LogSettings())


def test_a_client_that_needs_the_server_does_not_start_it_again_before_it_is_gone(home: Path) -> None:
    """A stop would wait in vain: the next one holds the same files."""
    fork = multiprocessing.get_context("fork")
    enough = fork.Event()
    needy = fork.Process(target=_ensures, args=(home, enough))
    needy.start()
    try:
        for _ in range(20):
            embedded_server.ensure(home, LogSettings())
            assert embedded_server.stop(home)
    finally:
        enough.set()
        needy.join()


def test_a_second_server_cannot_open_the_same_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = embedded_server.ensure(home, LogSettings())
    monkeypatch.setattr(embedded_server, "START_S", 0.05)
    hidden = server.socket_path.with_suffix(".away")
    server.socket_path.rename(hidden)
    with pytest.raises(LogUnavailable, match="holds"):
        embedded_server.ensure(home, LogSettings())
    hidden.rename(server.socket_path)
    assert embedded_server.ensure(home, LogSettings()).pid == server.pid


def test_a_home_too_deep_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    home = tmp_path.joinpath(*["deep" * 10] * 4)
    server = embedded_server.ensure(home, LogSettings())
    assert len(os.fsencode(server.socket_path)) < 107
    assert embedded_server.status(home) == embedded_server.EmbeddedServer(
        server.socket_path, server.pid, started=False
    )
    assert embedded_server.stop(home)


def test_no_other_user_may_look(home: Path) -> None:
    server = embedded_server.ensure(home, LogSettings())
    assert (home / "log").stat().st_mode & 0o777 == 0o700
    assert server.socket_path.stat().st_mode & 0o777 == 0o700


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    with pytest.raises(LogUnavailable, match="did not start"):
        embedded_server.ensure(home, LogSettings(), binary=Path("/bin/false"))


def a_server_that_dies(home: Path, times: int) -> Path:
    """A program that ends at once so often, and then is the real one."""
    script, deaths = home / "dying.sh", home / "deaths"
    script.write_text(
        f"""#!/bin/sh
echo >> {deaths}
[ $(wc -l < {deaths}) -gt {times} ] && exec {embedded_server.find_binary()} "$@"
exit 0
"""
    )
    script.chmod(0o700)
    return script


def test_a_server_that_dies_while_it_starts_is_started_again(home: Path) -> None:
    server = embedded_server.ensure(home, LogSettings(), binary=a_server_that_dies(home, 2))
    status = embedded_server.status(home)
    assert status is not None
    assert (server.pid, server.started) == (status.pid, True)


def test_a_server_that_always_dies_is_given_up(home: Path) -> None:
    with pytest.raises(LogUnavailable, match="dies as soon as it starts"):
        embedded_server.ensure(home, LogSettings(), binary=a_server_that_dies(home, 1_000))
    assert embedded_server.status(home) is None


@pytest.mark.anyio
async def test_a_log_at_a_url_is_used_as_it_is(valkey_home: Path, tmp_path: Path) -> None:
    url = f"unix://{embedded_server.socket_path(valkey_home)}"
    log = open_log(LogSettings.model_validate({"url": url}), tmp_path / "unused")
    await log.ping()
    await log.aclose()
    assert not (tmp_path / "unused").exists()
