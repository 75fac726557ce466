"""The command: what it is told, what it writes, and how it ends."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtests.report import thresholds
from loadtests.report.load_page import page
from loadtests.report.load_result import LoadResult, Requirement
from loadtests.runner import load_command
from loadtests.runner.load_command import BROKEN, KEPT, WRONG, load_main, parsed
from tests.loadtests.load_results import result_with
from tests.loadtests.typed_commands import ended, refused
from tests.support.running_app import RunningApp

SHORT = "--scenario chat --rate 6/s --for 1 --turns 2 --think 0.01 --no-listen"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--rate fast", "no rate: such as 2/s"),
        ("--url localhost", "no address: such as http://"),
        ("--url http://host:abc", "no address: such as http://"),
        ("--url http://", "no address: such as http://"),
        ("--rate inf", "no rate: such as 2/s"),
        ("--rate nan", "no rate: such as 2/s"),
        ("--rate=-1", "no rate: such as 2/s"),
        ("--think nan", "no number from 0 on"),
        ("--for 0", "no length"),
        ("--scenario sing", "choose from"),
        ("--require speed<=1", "there is no figure 'speed'"),
        ("--settings []", "no object"),
        ("--peak 3/s", "only with --arrivals ramp or spike"),
        ("--key k", "--key works only with --url"),
        ("--rate 0/s", "brings nobody"),
        ("--most 0", "no number from 1 on"),
        ("--kill-every 60 --url http://127.0.0.1:9", "only a system of its own is killed"),
        ("--kill-every 60 --for 90", "kills nothing in so short a run"),
        ("--keep", "--keep works only with --arrivals soak"),
    ],
)
def test_impossible_options_are_said_in_one_line(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(load_main, words, monkeypatch, capsys)


def test_help_teaches_by_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--help"])
    said = capsys.readouterr().out
    assert said.count("\n  make load") == 3
    assert all(name in said for name in thresholds.NAMES)


@pytest.mark.parametrize(
    "words", ["--url http://127.0.0.1:9", "--url http://127.0.0.1:9 --scenario call --recordings {empty}"]
)
def test_where_nothing_can_be_run_it_says_why(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert ended(load_main, monkeypatch, *words.format(empty=tmp_path).split()) == WRONG
    assert re.search(r"load: (connection: ConnectError|.* has no \*\.wav)", capsys.readouterr().err)


@pytest.mark.parametrize("words", ["--out {file}", "--plots {file}/plots", "--arrivals soak --keep"])
def test_an_unwritable_place_is_said_before_anybody_comes(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "measurements.md"
    file.write_text("# No mark\n", "utf-8")
    monkeypatch.setattr(load_command, "system_of", None)
    monkeypatch.setattr(load_command, "TABLES", file)
    assert ended(load_main, monkeypatch, *words.format(file=file).split(), "--quiet") == WRONG
    assert re.search(r"load: .*(be made a folder|has no line)", capsys.readouterr().err)


def test_a_broken_requirement_is_said_before_anything_else_can_go_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(load_command, "plotted", full)
    broken = Requirement(wish="failed<=0", value=3, kept=False)
    arguments = parsed(["--quiet", "--plots", str(tmp_path)])
    with pytest.raises(OSError, match="no space"):
        load_command._publish(result_with("fine", requirements=(broken,)), tmp_path, arguments)
    said = capsys.readouterr().out
    assert said.splitlines() == ["NOT KEPT failed<=0 (found: 3)", str(tmp_path / "load.html")]


def test_a_run_is_reported_although_its_system_did_not_end_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    @contextmanager
    def stubborn(_: object) -> Iterator[tuple[str, None]]:
        yield "", None
        raise RuntimeError("it does not stop")

    async def measured(*_: object) -> LoadResult:
        return result_with("fine")

    monkeypatch.setattr(load_command, "system_of", stubborn)
    monkeypatch.setattr(load_command, "measured", measured)
    assert ended(load_main, monkeypatch, "--quiet", "--out", str(tmp_path)) == WRONG
    said = capsys.readouterr()
    assert said.err == "load: it does not stop\n"
    assert said.out.splitlines() == [str(tmp_path / "load.html")]


def test_a_run_ends_by_its_requirements_and_leaves_a_report(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--url", app.url, *SHORT.split(), "--out", str(tmp_path)]
    kept = ["--require", "failed<=0", "--require", "ttfa_p50_ms>0"]
    assert ended(load_main, monkeypatch, *words, *kept) == KEPT
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(tmp_path / "load.html")
    assert "inside" in said.err
    broken = ["--require", "ttfa_p95_ms<=0.01", "--require", "v2v_p50_ms<=9"]
    assert ended(load_main, monkeypatch, *words, "--quiet", *broken) == BROKEN
    said = capsys.readouterr()
    assert re.search(r"NOT KEPT ttfa_p95_ms<=0.01 \(found: \d", said.out)
    assert "NOT KEPT v2v_p50_ms<=9 (found: no figures)" in said.out
    assert said.err == ""
    result = LoadResult.model_validate(json.loads((tmp_path / "load.json").read_text("utf-8")))
    assert result.version == 1
    assert result.people.fine == result.people.planned > 0
    assert result.judgement.answers == 2 * result.people.planned
    assert result.system.looked, "an open server shows its metrics on its own machine"
    html = (tmp_path / "load.html").read_text("utf-8")
    assert html == page(result)
    assert "NOT KEPT" in html
    assert not re.search(r"<script|<link|src=|url\(", html), "it needs nothing but itself"


def test_a_key_is_not_in_the_report(app: RunningApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["--url", app.url, *SHORT.split(), "--quiet", "--out", str(tmp_path)]
    ended(load_main, monkeypatch, *words, "--key", "rhapsode_secret")
    ended(load_main, monkeypatch, *words, "--key=rhapsode_secret")
    assert all("rhapsode_secret" not in file.read_text("utf-8") for file in tmp_path.iterdir())
