"""A regression is called one when it is clear, and only then; nothing depends on an order."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.measured_row import MeasuredRow, ratio, spread
from loadtests.bench.noise import ENOUGH, LEAST, UNSEEN, NoiseFound, PastRatio, judge, robust_variance
from loadtests.report.tables import ComparisonRow

ratios = st.floats(0.01, 100, allow_nan=False)
spreads = st.none() | st.floats(0, 0.5, allow_nan=False)
pasts = st.builds(PastRatio, ratios, spreads)
histories = st.lists(pasts, min_size=1, max_size=12)
rounds = st.lists(st.lists(st.floats(0.1, 1_000), min_size=1, max_size=6), min_size=3, max_size=8)


def measured(ours: list[list[float]], floor: list[list[float]], *, paired: bool = False) -> MeasuredRow:
    mine, base = ([value for one in side for value in one] for side in (ours, floor))
    return MeasuredRow("x.y", ComparisonRow("x", "ms", mine, base, "floor", "-", None), ours, floor, paired)


@given(pasts, st.integers(1, 9))
def test_a_run_is_never_worse_than_itself(run: PastRatio, times: int) -> None:
    assert judge(run, [run] * times).found is NoiseFound.KEPT


@given(pasts, histories)
def test_a_value_beyond_the_noise_is_always_worse_and_one_within_never(
    now: PastRatio, kept: list[PastRatio]
) -> None:
    limit = judge(now, kept).limit
    assert limit is not None
    assert judge(PastRatio(limit * 1.001, now.spread), kept).found is NoiseFound.WORSE
    assert judge(PastRatio(limit * 0.999, now.spread), kept).found is not NoiseFound.WORSE


@given(ratios, st.lists(st.floats(-0.02, 0.02), min_size=ENOUGH, max_size=9))
def test_twice_as_slow_as_runs_that_agree_is_worse(usual: float, differences: list[float]) -> None:
    kept = [PastRatio(usual * math.exp(difference), 0.01) for difference in differences]
    verdict = judge(PastRatio(2 * usual, 0.01), kept)
    assert verdict.found is NoiseFound.WORSE
    assert verdict.expected == pytest.approx(usual, rel=0.021)


@given(pasts, histories, st.randoms())
def test_the_order_of_runs_does_not_matter(
    now: PastRatio, kept: list[PastRatio], chance: random.Random
) -> None:
    mixed = chance.sample(kept, len(kept))
    one, other = judge(now, kept), judge(now, mixed)
    assert one.found is other.found
    assert one.noise == pytest.approx(other.noise)
    assert one.expected == pytest.approx(other.expected)


@given(pasts, histories)
def test_runs_that_differ_more_are_given_more_room(now: PastRatio, kept: list[PastRatio]) -> None:
    wider = [PastRatio(one.ratio**2, one.spread) for one in kept]
    assert judge(now, wider).noise >= judge(now, kept).noise * 0.999


def test_one_run_beside_a_busy_neighbour_neither_moves_nor_widens_what_is_expected() -> None:
    still = [PastRatio(2.0 + 0.01 * number, 0.005) for number in range(6)]
    disturbed = judge(PastRatio(2.2, 0.005), [*still, PastRatio(9.0, 0.005)])
    assert disturbed.expected == pytest.approx(2.03)
    assert disturbed.found is NoiseFound.WORSE


def test_a_row_without_history_or_without_a_ratio_fails_nothing() -> None:
    assert judge(PastRatio(3.0, None), []).found is NoiseFound.NEW
    assert judge(None, [PastRatio(3.0, None)]).found is NoiseFound.NOTHING


def test_little_is_called_worse_while_little_is_known() -> None:
    assert judge(PastRatio(1.0, None), [PastRatio(1.0, None)]).noise == UNSEEN
    assert judge(PastRatio(1.0, None), [PastRatio(1.0, None)] * ENOUGH).noise == LEAST


def test_a_better_ratio_is_said_to_be_one() -> None:
    assert judge(PastRatio(1.0, 0.01), [PastRatio(2.0, 0.01)] * 3).found is NoiseFound.BETTER


@given(rounds, rounds, st.randoms())
def test_the_order_of_rounds_does_not_matter(
    ours: list[list[float]], floor: list[list[float]], chance: random.Random
) -> None:
    one = measured(ours, floor)
    other = measured(chance.sample(ours, len(ours)), chance.sample(floor, len(floor)))
    assert (one.ratio, one.spread) == (other.ratio, other.spread)


@given(rounds, st.floats(0.2, 5.0), st.booleans())
def test_ours_that_is_always_so_many_times_the_floor_has_that_ratio(
    floor: list[list[float]], times: float, paired: bool
) -> None:
    found = measured([[times * value for value in one] for one in floor], floor, paired=paired)
    assert found.ratio == pytest.approx(times)
    if paired:
        assert found.spread == pytest.approx(0.0, abs=1e-9)


def test_rounds_that_differ_more_spread_more() -> None:
    chance = random.Random(1)
    floor = [[10.0]] * 12
    still, restless = ([[10 * math.exp(chance.gauss(0, sigma))] for _ in range(12)] for sigma in (0.01, 0.2))
    calm, wild = (spread(one, floor, 0.5, paired=False) for one in (still, restless))
    assert calm is not None
    assert wild is not None
    assert 0 < calm < 0.02
    assert wild > 5 * calm


@pytest.mark.parametrize("paired", [True, False])
def test_two_rounds_say_nothing_of_their_spread(paired: bool) -> None:
    assert spread([[1.0], [2.0]], [[1.0], [2.0]], 0.5, paired=paired) is None
    assert ratio([], [[1.0]], 0.5) is None
    assert ratio([[0.0]], [[1.0]], 0.5) is None


@given(st.lists(st.floats(-3, 3), max_size=2))
def test_fewer_than_three_runs_have_no_variance(values: list[float]) -> None:
    assert robust_variance(values) == 0.0


def test_a_long_round_is_thinned_without_moving_its_percentiles() -> None:
    long = [[float(value) for value in range(1, 20_001)]] * 3
    assert spread(long, long, 0.5, paired=True) == pytest.approx(0.0, abs=1e-12)
    assert measured(long, long).ratio == 1.0
