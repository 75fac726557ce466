"""The sweep over policies for the end of a turn counts cut-offs and dead air."""

import pytest

from loadtests.bench.turns.hesitant_speech import Pause
from loadtests.bench.turns.policy_sweep import Policy, fewest_cutoffs, judged, least_dead_air, sweep

PAUSES = [Pause(500, 250, False), Pause(900, 700, False), Pause(1_500, 3_000, True), Pause(400, 3_000, True)]
RIGHT = ["incomplete", "doubtful", "complete", "complete"]


def test_a_pause_longer_than_the_wait_is_cut_off_and_the_wait_after_the_end_is_dead_air() -> None:
    point = judged(PAUSES, [None] * 4, Policy(300, 300, 300))
    assert (point.false_cutoffs, point.dead_air_ms) == (0.5, 300)


def test_a_detector_that_is_always_right_needs_no_dead_air() -> None:
    point = judged(PAUSES, RIGHT, Policy(200, 500, 1_000))
    assert (point.false_cutoffs, point.dead_air_ms) == (0, 200)


def test_no_policy_acts_before_the_detector_has_answered() -> None:
    points = sweep(PAUSES, RIGHT, from_ms=200)
    assert min(point.policy.complete_ms for point in points) == 200
    best = least_dead_air(points, 0.0)
    assert best is not None
    assert best.dead_air_ms == 200


def test_silence_alone_has_one_wait() -> None:
    points = sweep(PAUSES, [None] * 4, from_ms=100)
    assert {str(point.policy) for point in points} >= {"300 ms", "600 ms"}
    best = fewest_cutoffs(points, 300)
    assert best is not None
    assert (best.false_cutoffs, best.dead_air_ms) == (0.5, 300)


@pytest.mark.parametrize("dead_air_ms", [50, 99])
def test_a_budget_below_every_wait_has_no_policy(dead_air_ms: int) -> None:
    assert fewest_cutoffs(sweep(PAUSES, RIGHT, from_ms=100), dead_air_ms) is None
