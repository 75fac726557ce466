"""Metrics of a process, also where there is nothing to report."""

from pathlib import Path

import pytest

from pipeline.observability import metric_names
from pipeline.observability.process_metrics import ProcessMeter

pytestmark = pytest.mark.anyio


async def test_a_folder_that_is_not_there_is_no_reason_to_end(tmp_path: Path) -> None:
    there = await ProcessMeter("one", "worker", home=tmp_path).snapshot()
    nowhere = await ProcessMeter("two", "worker", home=tmp_path / "away").snapshot()
    disk = {metric_names.DISK_FREE.name, metric_names.DISK_SIZE.name}
    assert disk <= there.gauges.keys()
    assert not disk & nowhere.gauges.keys()
    assert nowhere.gauges[metric_names.MEMORY.name] > 0
