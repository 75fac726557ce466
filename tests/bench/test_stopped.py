"""A benchmark that somebody stops tells what it has measured until then."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.bench import command
from loadtests.bench.measured import Measured
from loadtests.figures import Row


def until_somebody_stops_it(*_: object) -> Iterator[Measured]:
    row = Row("a row that was there", "ms", [1.0], [1.0], "floor", "-", None)
    yield Measured("x.y", row, [[1.0]], [[1.0]])
    raise KeyboardInterrupt


def test_what_was_measured_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = tmp_path / "found.json"
    monkeypatch.setattr(command, "measure", until_somebody_stops_it)
    monkeypatch.setattr("sys.argv", ["bench", "--rows", "a", "b", "--json", str(found)])
    assert command.main() == 1
    assert "a row that was there" in capsys.readouterr().out
    assert list(json.loads(found.read_text())["rows"]) == ["x.y"]
