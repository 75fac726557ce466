"""Reports name the processor time that other machines on the same hardware took."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from loadtests.bench.measured_row import MeasuredRow
from loadtests.report import tables
from loadtests.report.tables import ComparisonRow


class CpuTimes(NamedTuple):
    user: float
    idle: float
    steal: float


def reading(monkeypatch: pytest.MonkeyPatch, readings: Sequence[CpuTimes]) -> None:
    left = iter(readings)
    monkeypatch.setattr(tables.psutil, "cpu_times", lambda: next(left))


def test_it_is_a_share_of_all_the_time() -> None:
    assert tables.stolen(CpuTimes(10, 20, 5), CpuTimes(11, 22, 6)) == 0.25
    assert tables.stolen(CpuTimes(10, 20, 5), CpuTimes(10, 20, 5)) == 0.0


def test_each_share_is_that_since_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reading(monkeypatch, [CpuTimes(0, 0, 0), CpuTimes(5, 5, 0), CpuTimes(5, 10, 5)])
    shares = tables.thefts()
    assert [next(shares) for _ in range(3)] == [0.0, 0.0, 0.5]


def test_rows_measured_together_have_the_same_share(monkeypatch: pytest.MonkeyPatch) -> None:
    reading(monkeypatch, [CpuTimes(0, 0, 0), CpuTimes(5, 4, 1), CpuTimes(5.1, 4.1, 1)])
    shares = tables.thefts()
    assert [next(shares) for _ in range(3)] == [0.0, 0.1, 0.1]


@pytest.mark.parametrize(
    ("stolen", "note"), [(0.004, "its own"), (0.12, "12% of the processors stolen; its own")]
)
def test_it_stands_before_the_rows_own_note_where_it_is_worth_telling(stolen: float, note: str) -> None:
    row = ComparisonRow("x", "ms", [1.0], [1.0], "floor", "-", None, note="its own")
    assert MeasuredRow("x.y", row, [[1.0]], [[1.0]], stolen=stolen).told.note == note
