"""A scrape of the metrics every second does not ask Serve every second."""

import anyio
import pytest
from ray.serve.exceptions import RayServeException

from deployments.replicas.replica_counts import KEPT_S, Counts, ReplicaCounts

pytestmark = pytest.mark.anyio

TWO = {("Gateway", "running"): 2}
ONE = {("Gateway", "running"): 1, ("Gateway", "starting"): 1}


class Serve:
    """Says one thing after the other; counts how often it was asked."""

    def __init__(self, *answers: Counts | None) -> None:
        self._answers = iter(answers)
        self.asked = 0

    async def __call__(self) -> Counts:
        self.asked += 1
        found = next(self._answers)
        if found is None:
            raise RayServeException("no controller")
        return found


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_serve_is_asked_once_for_many_who_look() -> None:
    told, clock = Serve(TWO, ONE), Clock()
    counts = ReplicaCounts(told, clock)
    for _ in range(10):
        assert await counts() == TWO
        clock.now_s += KEPT_S / 10 - 0.001
    assert told.asked == 1


async def test_a_change_is_seen_when_the_answer_is_old() -> None:
    told, clock = Serve(TWO, ONE), Clock()
    counts = ReplicaCounts(told, clock)
    assert await counts() == TWO
    clock.now_s += KEPT_S
    assert await counts() == ONE


async def test_an_old_answer_is_not_told_where_serve_does_not_say(caplog: pytest.LogCaptureFixture) -> None:
    told, clock = Serve(TWO, None, ONE), Clock()
    counts = ReplicaCounts(told, clock)
    assert await counts() == TWO
    clock.now_s += KEPT_S
    assert await counts() == {}
    assert "how many replicas" in caplog.text
    assert await counts() == {}
    clock.now_s += KEPT_S
    assert await counts() == ONE


async def test_where_serve_hangs_it_is_not_asked_again_by_everybody_who_gives_up() -> None:
    asked: list[None] = []

    async def hang() -> Counts:
        asked.append(None)
        await anyio.sleep_forever()
        return TWO

    counts = ReplicaCounts(hang, Clock())
    with anyio.move_on_after(0.01) as given_up:
        await counts()
    assert given_up.cancelled_caught
    assert await counts() == {}
    assert len(asked) == 1
