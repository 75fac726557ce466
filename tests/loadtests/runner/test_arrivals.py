"""When people come: by the rate, in order, always the same for the same seed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.client import marks
from loadtests.runner.load_command import PROFILES, arrivals, corners

RATES = st.floats(0.1, 50)
LENGTHS = st.floats(1, 100)


def area(profile: str, rate: float, peak: float, seconds: float) -> float:
    line = corners(profile, rate, peak, seconds)
    return sum((end - begin) * (first + last) / 2 for (begin, first), (end, last) in pairwise(line))


@given(st.sampled_from(list(PROFILES)), RATES, RATES, LENGTHS, st.integers(0, 9))
def test_people_come_in_order_within_the_time_and_again_by_the_same_seed(
    profile: str, rate: float, peak: float, seconds: float, seed: int
) -> None:
    times = arrivals(profile, rate, peak, seconds, seed)
    assert times == sorted(times)
    assert all(0 <= time <= seconds * (1 + 1e-9) for time in times)
    assert times == arrivals(profile, rate, peak, seconds, seed)


@given(RATES, LENGTHS)
def test_an_even_stream_is_even(rate: float, seconds: float) -> None:
    times = arrivals("constant", rate, rate, seconds, 1)
    assert abs(len(times) - rate * seconds) <= 1
    assert times == pytest.approx([number / rate for number in range(len(times))])


@pytest.mark.parametrize(("rate", "seconds"), [(0.3, 30.0), (0.6, 120.0), (2.0, 60.0)])
def test_an_even_stream_has_nobody_who_comes_when_its_time_is_over(rate: float, seconds: float) -> None:
    assert len(arrivals("constant", rate, rate, seconds, 1)) == round(rate * seconds)


@pytest.mark.parametrize("profile", ["poisson", "ramp", "spike", "soak"])
def test_by_chance_as_many_come_as_lie_under_the_line(profile: str) -> None:
    expected = area(profile, 20, 60, 200)
    times = arrivals(profile, 20, 60, 200, 7)
    assert abs(len(times) - expected) < 5 * expected**0.5, "five standard deviations of a Poisson process"
    early = sum(time < 5 for time in times)
    if profile == "soak":
        assert early < 100 * 0.7, "a soak begins gently"
    if profile == "spike":
        assert sum(80 <= time < 120 for time in times) > 0.4 * len(times)


@given(st.integers(0, 10_000), st.integers(0, marks.PEOPLE - 1), st.integers(0, marks.PEOPLE - 1))
def test_everybody_has_a_name_of_their_own_that_is_found_in_any_text(run: int, one: int, other: int) -> None:
    mine, theirs = marks.mark(run, one), marks.mark(run, other)
    assert (mine == theirs) == (one == other)
    assert len(mine) == marks.LENGTH
    assert marks.marks_in(f"Hello {mine}, this is {theirs.lower()}'s lamp.") == {mine, theirs}
