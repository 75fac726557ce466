"""Kept runs can be read again, and make bench-check names rows that got worse or have no history."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtests.bench import bench_command
from loadtests.bench.bench_command import text, write
from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.noise import PastRatio
from loadtests.report.tables import ComparisonRow


def row(key: str, ours: Sequence[float], floor: Sequence[float] = (10.0, 10.1, 9.9, 10.0)) -> MeasuredRow:
    return MeasuredRow.each(
        key, ComparisonRow(f"row {key}", "ms", ours, floor, "a floor", "<= 2", True, note="of a test")
    )


STILL = [row("a.first-audio", [11.0, 11.1, 10.9, 11.0]), row("b.delta", [20.0, 20.2, 19.8, 20.0])]
SLOWER = [STILL[0], row("b.delta", [30.0, 30.2, 29.8, 30.0])]


def saved(rows: Sequence[MeasuredRow], file: Path) -> Path:
    write(bench_command.as_run(rows, quick=True), file)
    return file


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["bench-check", *map(str, words)])
    return bench_command.check_main()


def test_a_run_is_not_worse_than_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = saved(STILL, tmp_path / "run.json")
    assert run(monkeypatch, "--given", file, "--against", file) == bench_command.NOT_WORSE


def test_a_worse_row_is_named_with_its_values_and_its_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, before = saved(SLOWER, tmp_path / "now.json"), saved(STILL, tmp_path / "before.json")
    assert run(monkeypatch, "--given", now, "--against", before) == bench_command.WORSE
    said = capsys.readouterr().out
    assert "WORSE: b.delta is 3, expected 2 (median of 1), noise 10%: at most 2.2" in said
    assert "| a.first-audio | row a.first-audio | 1.1 | 1.1 | 10% | 1 | kept |" in said
    assert run(monkeypatch, "--given", now, "--against", before, "--rows", "a") == bench_command.NOT_WORSE


def test_a_row_without_history_is_said_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, before = saved(STILL, tmp_path / "now.json"), saved(STILL[:1], tmp_path / "before.json")
    assert run(monkeypatch, "--given", now, "--against", before) == bench_command.NOT_WORSE
    assert "No history on a machine like this one: b.delta." in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "no json", '{"version": 9}', '{"version": 1, "rows": 3}']
)
def test_a_file_that_is_no_run_is_refused_with_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)
    assert run(monkeypatch, "--given", file, "--against", file) == bench_command.WRONG
    assert "bench-check:" in capsys.readouterr().err
    assert run(monkeypatch, "--given", tmp_path / "none.json") == bench_command.WRONG


def test_a_kept_run_is_a_table_and_a_line_of_how_much_the_rounds_differed(tmp_path: Path) -> None:
    tables, history = tmp_path / "measurements.md", tmp_path / "history.jsonl"
    tables.write_text(f"# Measurements\n\n{bench_command.MARK}\n## before\n")
    for rows in (STILL, SLOWER):
        bench_command.keep(bench_command.as_run(rows, quick=False), text(rows), tables, history)
    kept = tables.read_text()
    assert kept.count("| what | ours p50 / p95 |") == 2
    assert kept.index("30.00 / 30.20 ms") < kept.index("20.00 / 20.20 ms") < kept.index("## before")
    runs = bench_command.read_history(history)
    assert [sorted(one["rows"]) for one in runs] == [["a.first-audio", "b.delta"]] * 2
    assert all("rounds" not in one["rows"]["b.delta"] for one in runs)
    found = bench_command.past(runs, runs[0]["shape"])
    assert [one.ratio for one in found["b.delta"]] == [2.0, 3.0]
    assert all(one.spread is not None for one in found["b.delta"])
    assert bench_command.past(runs, "another machine") == {}


def test_a_row_that_nobody_is_answered_in_any_more_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = MeasuredRow(
        "b.delta", ComparisonRow("row b.delta", "ms", [], [], "a floor", "flat", False), [], []
    )
    now, before = saved([STILL[0], nobody], tmp_path / "now.json"), saved(STILL, tmp_path / "before.json")
    assert run(monkeypatch, "--given", now, "--against", before) == bench_command.WORSE
    assert "WORSE: b.delta could be measured in 1 kept runs, and cannot any more" in capsys.readouterr().out
    assert run(monkeypatch, "--given", now, "--against", now) == bench_command.NOT_WORSE


def test_a_history_that_is_broken_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(bench_command.line(bench_command.as_run(STILL, quick=True)) + "\n{broken\n")
    with pytest.raises(bench_command.BadHistory, match="line 3"):
        bench_command.read_history(file)


def test_a_table_without_its_place_is_not_written_over(tmp_path: Path) -> None:
    tables, history = tmp_path / "measurements.md", tmp_path / "history.jsonl"
    tables.write_text("# Measurements\n")
    with pytest.raises(bench_command.BadHistory):
        bench_command.keep(bench_command.as_run(STILL, quick=True), "a table", tables, history)
    assert tables.read_text() == "# Measurements\n"
    assert not history.exists()


def test_a_row_whose_floor_is_nothing_has_no_ratio_and_is_kept_all_the_same(tmp_path: Path) -> None:
    run_of_it = bench_command.as_run([row("f.session", [0.2, 0.3, 0.2], [0.0, 0.0, 0.0])], quick=True)
    assert json.loads(bench_command.line(run_of_it))["rows"]["f.session"]["ratio"] is None
    assert (
        bench_command.judged(run_of_it["rows"], {"f.session": [PastRatio(1.0, None)]})["f.session"].found
        == "no ratio"
    )


@pytest.mark.parametrize("parse", [bench_command.bench_parsed, bench_command.check_parsed])
def test_rows_can_be_chosen_and_others_are_refused(parse: object) -> None:
    assert callable(parse)
    assert parse(["--rows", "b", "e"]).rows == ["b", "e"]
    with pytest.raises(SystemExit):
        parse(["--rows", "z"])
