"""More than the system takes: it refuses, which is no failure, and nobody who was taken is worse off."""

from pathlib import Path

import pytest

from tests.load.test_running import result_of
from tests.support import running_app, scripted_settings

pytestmark = [pytest.mark.anyio]


async def test_the_refused_are_counted_apart_from_failures_with_when_they_were_told_to_come_back(
    tmp_path: Path,
) -> None:
    llm = {"echo": True, "first_delta_ms": 4_000}
    limits = {"admission": {"waiting_turns": 3}}
    with running_app(scripted_settings(tmp_path, llm=llm, limits=limits)) as app:
        result = await result_of(app, "--scenario chat --turns 1 --rate 12/s")
    people = result.people
    assert (people.fine + people.refused, people.failed) == (12, 0)
    assert people.refused >= 3
    assert set(people.codes) == {"gateway.busy"}
    assert people.retry_after_s is not None
    assert people.retry_after_s >= 1
    assert sum(moment.refused for moment in result.timeline) == people.refused
    assert all(one.kept for one in result.requirements)
