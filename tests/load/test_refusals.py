"""More than the system takes: it refuses, which is no failure, and nobody who was taken is worse off."""

from pathlib import Path

import pytest

from tests.load.test_running import result_of
from tests.support import running_app, scripted_settings

pytestmark = [pytest.mark.anyio]


async def test_the_refused_are_counted_apart_from_failures_with_when_they_were_told_to_come_back(
    tmp_path: Path,
) -> None:
    limits = {"admission": {"waiting_turns": 3}}
    with running_app(scripted_settings(tmp_path, limits=limits)) as app:
        assert app.services is not None
        pressure = app.services.pressure
        calls = [pressure.ask() for _ in range(3)]  # of others, whom no model answers for now
        result = await result_of(app, "--scenario chat --turns 1 --rate 12/s")
        for call in calls:
            pressure.give_up(call)
        alone = await result_of(app, "--scenario chat --turns 1 --rate 1/s")
    people = result.people
    assert (people.planned, people.refused, people.fine, people.failed) == (12, 12, 0, 0)
    assert people.codes == {"gateway.busy": 12}
    assert people.retry_after_s is not None
    assert people.retry_after_s >= 1
    assert sum(moment.refused for moment in result.timeline) == people.refused
    assert (alone.people.fine, alone.people.refused) == (1, 0)
    assert all(one.kept for one in (*result.requirements, *alone.requirements))
