"""The curve's command: it plans and tries before it begins, and publishes what it made however it ends."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.report.curve_page import LoadCurve
from loadtests.report.load_result import LoadResult
from loadtests.runner import curve_command, load_command
from loadtests.runner.curve_command import curve_main, curve_parsed
from loadtests.runner.load_command import STOPPED, WRONG
from tests.loadtests.load_results import result_with
from tests.loadtests.typed_commands import ended


def test_all_steps_are_planned_before_a_system_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load_command, "system_of", None)
    assert ended(curve_main, monkeypatch, "--rates", "2/h,1/s", "--for", "1s", "--quiet") == WRONG
    said = capsys.readouterr().err
    assert said == "load-curve: step 1 of 2: nobody would come: poisson, 0.000555556/s for 2 s\n"


def test_a_short_curve_is_told_as_it_is_and_counts_from_when_people_were_due() -> None:
    arguments = curve_parsed(["--for", "1ms", "--rates", "3000/s,90000/s", "--processes", "2"])
    arguments.command = "make load-curve"
    plans = curve_command.planned(arguments)
    assert load_command.planned(plans[0])[0].due_s == [0.0]
    assert [(one.rate, one.seconds, one.processes) for one in plans[1:]] == [
        (3_000, 0.002, 2),
        (90_000, 0.001, 2),
    ]
    assert all(load_command.planned(one)[0].from_arrival for one in plans[1:])


@pytest.mark.parametrize(
    ("ending", "code"),
    [(Failed("connection", "it has died"), WRONG), (KeyboardInterrupt(), STOPPED), (OSError("disk"), None)],
    ids=["an error", "Ctrl-C between two steps", "a surprise"],
)
def test_steps_that_were_made_are_published_however_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: BaseException, code: int | None
) -> None:
    left: Iterator[LoadResult | BaseException] = iter(
        [result_with("fine"), result_with("fine", answers=1, answered=1), ending]
    )

    async def measured(*_: object) -> LoadResult:
        made = next(left)
        if isinstance(made, BaseException):
            raise made
        return made

    async def calm(*_: object) -> None:
        """At once."""

    monkeypatch.setattr(load_command, "measured", measured)
    monkeypatch.setattr(curve_command, "_rest", calm)
    monkeypatch.setattr(ApiConnection, "greet", calm)
    words = ["--url", "http://127.0.0.1:9", "--rates", "1/s,2/s", "--quiet", "--out", str(tmp_path)]
    if code is None:
        with pytest.raises(OSError, match="disk"):
            ended(curve_main, monkeypatch, *words)
    else:
        assert ended(curve_main, monkeypatch, *words) == code
    found = LoadCurve.model_validate(json.loads((tmp_path / "curve.json").read_text("utf-8")))
    assert ([one.answers for one in found.steps], found.stopped) == ([1], True)
    assert "some steps are missing" in (tmp_path / "curve.html").read_text("utf-8")


@pytest.mark.parametrize("words", ["--out {file}", "--keep"])
def test_an_unwritable_place_is_said_before_the_curve_begins(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "measurements.md").write_text("# No mark\n", "utf-8")
    monkeypatch.setattr(load_command, "system_of", None)
    monkeypatch.setattr(curve_command, "DOCS", tmp_path)
    told = words.format(file=tmp_path / "measurements.md").split()
    assert ended(curve_main, monkeypatch, *told, "--quiet") == WRONG
    assert re.search(r"load-curve: .*(be made a folder|has no line)", capsys.readouterr().err)
