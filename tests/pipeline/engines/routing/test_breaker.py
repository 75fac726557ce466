"""When a server is left alone, and when it is tried again."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.engines.routed import Breaker, BreakerCall
from tests.support.clocks import HandClock


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        visit = breaker.admit()
        assert visit is not None
        visit.failed()
        visit.end()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(3, 10.0, clock)


def test_failures_in_a_row_open_it_for_a_while(breaker: Breaker, clock: HandClock) -> None:
    failing(breaker, 3)
    assert (breaker.state, breaker.admit()) == ("open", None)
    clock.advance(9.9)
    assert breaker.admit() is None
    clock.advance(0.1)
    assert breaker.state == "half-open"


def test_a_success_between_starts_the_count_anew(breaker: Breaker) -> None:
    failing(breaker, 2)
    visit = breaker.admit()
    assert visit is not None
    visit.succeeded()
    failing(breaker, 2)
    assert breaker.state == "closed"


def test_half_open_one_sentence_tries_and_closes_it(breaker: Breaker, clock: HandClock) -> None:
    failing(breaker, 3)
    clock.advance(10)
    trial = breaker.admit()
    assert trial is not None
    assert breaker.admit() is None
    trial.succeeded()
    trial.end()
    assert breaker.state == "closed"


def test_a_failed_trial_opens_it_again(breaker: Breaker, clock: HandClock) -> None:
    failing(breaker, 3)
    clock.advance(10)
    failing(breaker, 1)
    assert breaker.state == "open"
    clock.advance(10)
    assert breaker.state == "half-open"


def test_a_trial_that_was_given_up_makes_room_for_the_next(breaker: Breaker, clock: HandClock) -> None:
    failing(breaker, 3)
    clock.advance(10)
    trial = breaker.admit()
    assert trial is not None
    trial.end()
    assert breaker.admit() is not None


def test_sentences_from_before_do_not_keep_it_open_longer(breaker: Breaker, clock: HandClock) -> None:
    late = breaker.admit()
    assert late is not None
    failing(breaker, 3)
    clock.advance(10)
    late.failed()
    late.end()
    assert breaker.state == "half-open"


class AnyOrder(RuleBasedStateMachine):
    """In any order an open breaker admits none, a half-open one a single call; time alone half opens it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.breaker = Breaker(2, 10.0, self.clock)
        self.visits: list[BreakerCall] = []
        self.trials: list[BreakerCall] = []

    @rule()
    def ask(self) -> None:
        state = self.breaker.state
        visit = self.breaker.admit()
        expected = {"closed": True, "open": False, "half-open": not self.trials}[state]
        assert (visit is not None) == expected
        if visit is not None:
            self.visits.append(visit)
            if state == "half-open":
                self.trials.append(visit)

    @rule(number=st.integers(0, 10), well=st.sampled_from([True, False, None]))
    def leave(self, number: int, well: bool | None) -> None:
        if not self.visits:
            return
        visit = self.visits.pop(number % len(self.visits))
        if well is not None:
            (visit.succeeded if well else visit.failed)()
        visit.end()
        self.trials = [trial for trial in self.trials if trial is not visit]

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def never_two_trials(self) -> None:
        assert len(self.trials) <= 1


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
