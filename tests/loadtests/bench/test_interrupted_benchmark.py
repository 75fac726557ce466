"""A benchmark that somebody stops tells what it has measured until then."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench import bench_command
from loadtests.bench.measured_row import MeasuredRow
from loadtests.report.tables import ComparisonRow


def until_somebody_stops_it(*_: object) -> Iterator[MeasuredRow]:
    row = ComparisonRow("a row that was there", "ms", [1.0], [1.0], "floor", "-", None)
    yield MeasuredRow("x.y", row, [[1.0]], [[1.0]])
    raise KeyboardInterrupt


def test_measured_rows_are_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = tmp_path / "found.json"
    monkeypatch.setattr(bench_command, "measure", until_somebody_stops_it)
    monkeypatch.setattr("sys.argv", ["bench", "--rows", "a", "b", "--json", str(found)])
    assert bench_command.bench_main() == bench_command.STOPPED
    assert "a row that was there" in capsys.readouterr().out
    assert list(json.loads(found.read_text())["rows"]) == ["x.y"]


def test_nothing_is_kept_of_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[object] = []
    monkeypatch.setattr(bench_command, "measure", until_somebody_stops_it)
    monkeypatch.setattr(bench_command, "keep", lambda *told: kept.append(told))
    monkeypatch.setattr("sys.argv", ["bench", "--rows", "a", "--keep"])
    assert bench_command.bench_main() == bench_command.STOPPED
    assert kept == []
    assert "nothing is kept" in capsys.readouterr().err


def test_rows_that_failed_are_named_above_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*told: Any) -> Iterator[MeasuredRow]:
        yield next(until_somebody_stops_it())
        told[-1](["b", "c"], OSError("no room"))

    monkeypatch.setattr(bench_command, "measure", failing)
    monkeypatch.setattr("sys.argv", ["bench", "--key", "rk_secret", "--quick"])
    assert bench_command.bench_main() == bench_command.MISSED
    out = capsys.readouterr().out
    assert "make bench ARGS=\"--key '***' --quick\"" in out
    assert "not all is here of: b, c." in out
    assert "| x: a row that was there |" in out
