"""Growth is found although processes die, and is not found where there is none."""

import random
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from loadtests.report.tables import slope_per_minute
from loadtests.runner.usage_summary import WARM_S, Life, growth_of_all, growth_per_minute, lives_of, settled

EVERY_S = 2.0
LENGTHS = st.lists(st.integers(200, 3_000), min_size=1, max_size=5)
BASES = st.lists(st.floats(-1_000, 1_000), min_size=5, max_size=5)


def life(begins_s: float, seconds: float, base: float, per_minute: float) -> Life:
    """Grows evenly."""
    count = int(seconds / EVERY_S) + 1
    return [
        (begins_s + number * EVERY_S, base + per_minute / 60 * number * EVERY_S) for number in range(count)
    ]


def one_after_the_other(lengths: list[int], bases: list[float], per_minute: float) -> list[Life]:
    begins = [sum(lengths[:number]) + 3.0 * number for number in range(len(lengths))]
    return [
        life(at_s, seconds, base, per_minute)
        for at_s, seconds, base in zip(begins, lengths, bases, strict=False)
    ]


@given(LENGTHS, BASES, st.floats(-5, 5))
def test_even_growth_is_found_whatever_each_process_began_with(
    lengths: list[int], bases: list[float], per_minute: float
) -> None:
    found = growth_per_minute(one_after_the_other(lengths, bases, per_minute))
    assert found is not None
    assert abs(found - per_minute) < 1e-6


@given(LENGTHS, BASES, st.floats(0, 500))
def test_memory_taken_once_at_the_beginning_is_no_growth(
    lengths: list[int], bases: list[float], once: float
) -> None:
    lives = [
        [(at_s, value + min(1.0, (at_s - one[0][0]) / WARM_S) * once) for at_s, value in one]
        for one in one_after_the_other(lengths, bases, 0.0)
    ]
    found = growth_per_minute(lives)
    assert found is not None
    assert abs(found) < 1e-6


@given(LENGTHS, BASES, st.integers(0, 99))
def test_noise_without_growth_stays_small(lengths: list[int], bases: list[float], seed: int) -> None:
    assume(sum(lengths) > 600)
    dice = random.Random(seed)
    lives = [
        [(at_s, value + dice.uniform(-1, 1)) for at_s, value in one]
        for one in one_after_the_other(lengths, bases, 0.0)
    ]
    found = growth_per_minute(lives)
    assert found is not None
    assert abs(found) < 1.5, "a straight line through as many dice may lean by this much"


@given(st.lists(st.floats(-100, 100), min_size=150, max_size=400))
def test_of_a_single_long_life_it_is_the_slope_of_the_second_half(values: list[float]) -> None:
    at_s = [number * EVERY_S for number in range(len(values))]
    second_half = [number for number, moment_s in enumerate(at_s) if moment_s >= max(WARM_S, at_s[-1] / 2)]
    expected = slope_per_minute(
        [at_s[number] for number in second_half] * 2, [values[number] for number in second_half] * 2
    )
    found = growth_per_minute([list(zip(at_s, values, strict=True))])
    assert found is not None
    assert abs(found - expected) < 1e-6


@given(LENGTHS, BASES, st.floats(-5, 5))
def test_looks_at_all_processes_are_told_apart_by_life(
    lengths: list[int], bases: list[float], per_minute: float
) -> None:
    lives = one_after_the_other(lengths, bases, per_minute)
    seen: dict[float, dict[str, float]] = {}
    for number, one in enumerate(lives):
        for moment_s, value in one:
            seen.setdefault(moment_s, {})[f"life {number}"] = value
    at_s = sorted(seen)
    looks = [seen[moment_s] for moment_s in at_s]
    assert sorted(map(list, lives_of(at_s, looks))) == sorted(map(list, lives))
    found = growth_of_all(at_s, looks)
    assert found is not None
    assert abs(found - per_minute) < 1e-6, "there is one at a time"


@given(st.integers(2, 5), st.floats(-5, 5))
def test_of_several_at_once_it_is_what_they_grow_by_together(count: int, per_minute: float) -> None:
    one = life(0.0, 900, 100.0, per_minute)
    found = growth_of_all(
        [at_s for at_s, _ in one], [{f"{name}": value for name in range(count)} for _, value in one]
    )
    assert found is not None
    assert abs(found - count * per_minute) < 1e-6


@given(st.lists(st.integers(0, 130), max_size=5))
def test_lives_that_ended_before_they_were_settled_say_nothing(lengths: list[int]) -> None:
    assert growth_per_minute(one_after_the_other(lengths, [1.0] * 5, 3.0)) is None


@given(LENGTHS)
def test_settled_looks_are_late_and_in_order(lengths: list[int]) -> None:
    for one in one_after_the_other(lengths, [0.0] * 5, 1.0):
        late = settled(one)
        assert all(before < after for before, after in pairwise(late))
        assert late[0][0] - one[0][0] >= WARM_S
        assert late[-1] == one[-1]
