"""`rhapsode logs`: what every process has written, while it runs and after it."""

import os
from pathlib import Path
from traceback import format_exception

import pytest

from cluster.local import process_logs
from cluster.terminal.cli_errors import CliError


def a_run(ray: Path, name: str, **files: str) -> Path:
    """A folder as Ray leaves it after one run; files by the deployment that wrote them."""
    place = ray / f"session_{name}" / "logs"
    (place / "serve").mkdir(parents=True)
    for number, (writer, text) in enumerate(files.items()):
        head = f":job_id:01\n:actor_name:ServeReplica:rhapsode:{writer}\n"
        (place / f"worker-abc-01-{number}.err").write_text(head + text)
    (place / "raylet.out").write_text("a node\n")
    (place / "serve" / "controller_7.log").write_text("controlling\n")
    (place / "serve" / "replica_rhapsode_Gateway_x2k9.log").write_text("a replica\n")
    latest = ray / "session_latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(place.parent)
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home/log").mkdir(parents=True)
    (tmp_path / "home/log/server.log").write_text("one\ntwo\nthree\n")
    return tmp_path / "home"


@pytest.fixture
def ray(tmp_path: Path) -> Path:
    return tmp_path / "ray"


def said(home: Path, part: str | None, lines: int = 50) -> list[str]:
    found: list[str] = []
    process_logs.show(home, part, lines, found.append, follow=False)
    return found


def test_a_part_is_found_while_it_runs_and_after_it_was_stopped(home: Path, ray: Path) -> None:
    process_logs.begin(home, ray)
    a_run(ray, "2026-11-24_1", Gateway="hello\n", LanguageModel="thinking\n")
    for _ in ("running", "stopped"):
        assert said(home, "gateway") == ["Gateway 0 | hello", "Gateway x2k9 | a replica"]
        assert said(home, "language-model") == ["LanguageModel 1 | thinking"]
        assert said(home, "Ray") == ["raylet.out | a node"]
        assert said(home, "serve") == ["controller_7 | controlling"]
        assert len(said(home, None)) == 3, "what is only of use to who looks for it is not among all"
        process_logs.keep(home, ray)
    assert not (ray / "session_2026-11-24_1" / "logs").exists()
    assert (home / "logs" / "2026-11-24_1" / "raylet.out").exists()


def test_only_the_last_runs_are_kept(home: Path, ray: Path) -> None:
    for number in range(process_logs.KEPT + 3):
        process_logs.begin(home, ray)
        a_run(ray, f"2026-11-24_{number}", Gateway=f"run {number}\n")
        process_logs.keep(home, ray)
    kept = sorted(path.name for path in (home / "logs").glob("2*"))
    assert kept == [f"2026-11-24_{number}" for number in range(3, process_logs.KEPT + 3)]
    assert "Gateway 0 | run 7" in said(home, "gateway")


def test_logs_in_a_folder_of_another_user_are_left_there(
    home: Path, ray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted, uid = a_run(ray, "2026-11-24_1", Gateway="planted\n"), os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    process_logs.keep(home, ray)
    assert planted.exists()
    assert not (home / "logs").exists()
    monkeypatch.undo()
    process_logs.keep(home, ray)
    assert (home / "logs" / "2026-11-24_1" / "raylet.out").exists()


def test_only_the_last_lines_are_shown(home: Path) -> None:
    assert said(home, "log", 2) == ["log | two", "log | three"]
    assert said(home, "log", 0) == []


def test_a_part_that_is_none_is_told_with_those_that_are(home: Path, ray: Path) -> None:
    a_run(ray, "2026-11-24_1", Workers="")
    process_logs.keep(home, ray)
    with pytest.raises(CliError, match=r"no log of 'gatway'") as refused:
        said(home, "gatway")
    assert refused.value.advice == "There are gateway, log, ray, serve, workers."


def test_where_nothing_ever_ran_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="Nothing was written"):
        said(tmp_path, None)


class _Enough(Exception):
    pass


def test_added_lines_are_shown_once_and_whole_also_of_later_processes(
    home: Path, ray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_logs.begin(home, ray)
    place = a_run(ray, "2026-11-24_1", Gateway="old\n")
    first, second = place / "worker-abc-01-0.err", place / "worker-abc-01-9.err"

    def again() -> None:
        second.write_text(":job_id:01\n:actor_name:ServeReplica:rhapsode:Gateway\nlater\n")

    steps = iter(
        [
            lambda: first.write_text(first.read_text() + "half "),
            lambda: first.write_text(first.read_text() + "a line\n"),
            again,
            lambda: first.write_text(":actor_name:ServeReplica:rhapsode:Gateway\nanew\n"),
        ]
    )

    def next_step(_: float) -> None:
        step = next(steps, None)
        if step is None:
            raise _Enough
        step()

    monkeypatch.setattr(process_logs, "sleep", next_step)
    found: list[str] = []
    with pytest.raises(_Enough):
        process_logs.show(home, "gateway", 1, found.append, follow=True)
    assert found == [
        "Gateway 0 | old",
        "Gateway x2k9 | a replica",
        "Gateway 0 | half a line",
        "Gateway 9 | later",
        "Gateway 0 | anew",
    ]


def test_a_cause_within_groups_is_told_without_their_margins() -> None:
    inner = ExceptionGroup("unhandled errors in a TaskGroup", [IsADirectoryError(21, "Is a directory", "/")])
    whole = ExceptionGroup("unhandled errors in a TaskGroup", [inner])
    text = "".join(format_exception(whole)) + "ERROR 2026-11-27 -- Application startup failed. Exiting."
    assert process_logs.cause(text).startswith("IsADirectoryError: [Errno 21] Is a directory: '/' ERROR")
