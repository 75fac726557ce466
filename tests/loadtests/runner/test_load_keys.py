"""A system that asks who you are: with a key there is load, without one there is a sentence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.report.load_result import LoadResult
from loadtests.runner.load_command import KEPT, WRONG, load_main
from tests.loadtests.runner.test_load_command import SHORT
from tests.loadtests.typed_commands import ended
from tests.support.clients.access_people import People, settings_at
from tests.support.running_app import RunningApp, running_app

WORDS = (*SHORT.split(), "--quiet")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, People]]:
    home: Path = tmp_path_factory.mktemp("keys")
    people = People.at(home)
    with running_app(settings_at(home)) as running:
        yield running, people


@pytest.mark.parametrize("processes", [1, 2])
def test_with_somebodys_key_everything_is_judged_but_only_an_administrator_sees_the_system(
    locked: tuple[RunningApp, People], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processes: int
) -> None:
    app, people = locked
    words = ["--url", app.url, *WORDS, "--processes", str(processes), "--out", str(tmp_path)]
    for key, sees in ((people.anna, False), (people.root, True)):
        assert ended(load_main, monkeypatch, *words, "--key", key) == KEPT
        result = LoadResult.model_validate_json((tmp_path / "load.json").read_text("utf-8"))
        assert (result.people.fine, result.people.codes) == (result.people.planned, {})
        assert result.judgement.compared_with_log == result.people.fine > 0
        assert result.system.looked == sees
        assert ("administrators" in result.system.why_not) != sees
        assert all(key not in file.read_text("utf-8") for file in tmp_path.iterdir())


def test_the_key_can_be_in_the_environment_and_without_one_it_says_what_is_missing(
    locked: tuple[RunningApp, People],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    app, people = locked
    words = ["--url", app.url, *WORDS, "--out", str(tmp_path)]
    assert ended(load_main, monkeypatch, *words) == WRONG
    assert "asks who you are: --key" in capsys.readouterr().err
    monkeypatch.setenv("RHAPSODE_KEY", people.bob)
    assert ended(load_main, monkeypatch, *words) == KEPT
