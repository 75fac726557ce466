"""The limiter admits callers while answers begin in time; later, as many as were answered in time."""

import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import inf
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.report.tables import percentile
from pipeline.admission.concurrency_limiter import ConcurrencyLimiter, Wait
from schemas.errors import GatewayBusy
from schemas.settings.limit_settings import AdmissionSettings
from tests.support.clocks import Hours

USUAL_S = 0.3
MAKING_S = 1.5
BOUND = 1.5
STEP_S = 0.05
LIMITS = AdmissionSettings(slowdown=BOUND)


def accustomed(
    usual_s: float = USUAL_S, *, limits: AdmissionSettings = LIMITS
) -> tuple[ConcurrencyLimiter, Hours]:
    """To answers that begin after that time."""
    clock = Hours()
    limiter = ConcurrencyLimiter(limits, clock, random.Random(1))
    for _ in range(5):
        turn(limiter, clock, usual_s)
    clock.s += 60
    return limiter, clock


def turn(limiter: ConcurrencyLimiter, clock: Hours, seconds: float) -> None:
    with limiter.turn("read") as wait:
        clock.s += seconds
        limiter.answered(wait)


def beside(limiter: ConcurrencyLimiter, stack: ExitStack, turns: int) -> None:
    """So many others run, and are none of the test's affair."""
    for _ in range(turns):
        limiter.dropped(stack.enter_context(limiter.turn("read")))


def let_in(limiter: ConcurrencyLimiter) -> bool:
    try:
        limiter.check()
    except GatewayBusy:
        return False
    return True


@dataclass
class Turn:
    """Progress of an answer, and how long it is."""

    came_s: float
    wait: Wait
    over: ExitStack
    made_s: float = 0.0
    begun: bool = False


@dataclass
class SimulatedGateway:
    """Makes so many turns at a time in `MAKING_S`, and more of them in proportion more slowly."""

    limiter: ConcurrencyLimiter
    clock: Hours
    at_a_time: float
    waits: list[float] = field(default_factory=list)
    turned_away: int = 0

    @property
    def per_s(self) -> float:
        return self.at_a_time / MAKING_S

    def go_through(self, seconds: float, come_per_s: float) -> "SimulatedGateway":
        """People come evenly."""
        inside: list[Turn] = []
        due = 0.0
        for _ in range(round(seconds / STEP_S)):
            self.clock.s += STEP_S
            due += STEP_S * come_per_s
            while due >= 1:
                due -= 1
                if let_in(self.limiter):
                    over = ExitStack()
                    inside.append(Turn(self.clock.s, over.enter_context(self.limiter.turn("read")), over))
                else:
                    self.turned_away += 1
            for turn in inside:
                turn.made_s += STEP_S / max(1.0, len(inside) / self.at_a_time)
                if turn.made_s >= USUAL_S and not turn.begun:
                    turn.begun = True
                    self.waits.append(self.clock.s - turn.came_s)
                    self.limiter.answered(turn.wait)
                if turn.made_s >= MAKING_S:
                    turn.over.close()
            inside = [turn for turn in inside if turn.made_s < MAKING_S]
        for turn in inside:
            turn.over.close()
        return self


@given(st.lists(st.tuples(st.floats(0.01, USUAL_S * 1.2), st.floats(0, 2)), max_size=60))
def test_while_answers_begin_in_time_everybody_is_let_in(steps: list[tuple[float, float]]) -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        beside(limiter, stack, 3)
        for took_s, pause_s in steps:
            assert let_in(limiter)
            turn(limiter, clock, took_s)
            clock.s += pause_s
        assert limiter.room == inf


@pytest.mark.parametrize(("took_s", "late"), [(0.11, False), (0.13, True)])
def test_where_answers_begin_at_once_they_are_late_as_soon_as_anybody_notices(
    took_s: float, late: bool
) -> None:
    limiter, clock = accustomed(0.05)
    with ExitStack() as stack:
        beside(limiter, stack, 3)
        for _ in range(10):
            turn(limiter, clock, took_s)
        assert (limiter.room < inf) == late


@given(st.lists(st.floats(0.01, 60), max_size=30))
def test_a_caller_that_is_alone_is_not_late_because_of_others(times_s: list[float]) -> None:
    limiter, clock = accustomed()
    for took_s in times_s:
        assert let_in(limiter)
        turn(limiter, clock, took_s)
    assert limiter.room == inf


@given(st.floats(0.3, 0.9), st.integers(4, 40))
def test_less_than_can_be_made_is_all_taken(part: float, at_a_time: int) -> None:
    limiter, clock = accustomed()
    gateway = SimulatedGateway(limiter, clock, at_a_time)
    assert gateway.go_through(60, part * gateway.per_s).turned_away == 0


@given(st.floats(1.5, 6), st.integers(4, 40))
def test_of_more_than_that_so_many_are_turned_away_that_the_others_begin_in_time(
    part: float, at_a_time: int
) -> None:
    limiter, clock = accustomed()
    gateway = SimulatedGateway(limiter, clock, at_a_time)
    gateway.go_through(90, part * gateway.per_s)
    later = gateway.waits[len(gateway.waits) // 4 :]
    assert median(later) <= 1.3 * BOUND * USUAL_S
    assert percentile(later, 0.95) <= 1.5 * BOUND * USUAL_S
    assert gateway.turned_away > 0
    assert len(gateway.waits) >= 0.9 * 90 * gateway.per_s, "and as much is made as can be"


@given(st.integers(8, 60))
def test_a_spike_that_is_answered_in_time_turns_nobody_away(at_a_time: int) -> None:
    limiter, clock = accustomed()
    gateway = SimulatedGateway(limiter, clock, at_a_time)
    gateway.go_through(10, 0.3 * gateway.per_s)
    gateway.go_through(0.4, 2.5 * gateway.per_s)
    assert gateway.go_through(20, 0.3 * gateway.per_s).turned_away == 0


def crowded(at_a_time: int = 8) -> tuple[ConcurrencyLimiter, Hours]:
    """It has learned for how many there is room."""
    limiter, clock = accustomed()
    gateway = SimulatedGateway(limiter, clock, at_a_time)
    gateway.go_through(30, 4 * gateway.per_s)
    assert limiter.room < 3 * at_a_time
    return limiter, clock


def test_when_more_can_be_made_there_is_room_for_more() -> None:
    limiter, clock = crowded(at_a_time=8)
    gateway = SimulatedGateway(limiter, clock, at_a_time=32)
    gateway.go_through(60, 0.9 * gateway.per_s)
    before = gateway.turned_away
    assert gateway.go_through(30, 0.9 * gateway.per_s).turned_away == before


def test_where_there_is_room_somebody_may_come_whatever_was_late_before() -> None:
    limiter, clock = crowded()
    clock.s += 5
    assert limiter.crowded == ""
    assert let_in(limiter)


def full(limiter: ConcurrencyLimiter, stack: ExitStack) -> list[Wait]:
    """As many turns as there is room for."""
    return [stack.enter_context(limiter.turn("read")) for _ in range(int(limiter.room) + 1)]


def test_between_late_and_in_time_the_room_stays_as_it_is() -> None:
    limiter, clock = crowded()
    clock.s += 60
    room = limiter.room
    with ExitStack() as stack:
        for wait in full(limiter, stack):
            clock.s += 0.01
            wait.since_s = clock.s - USUAL_S * (BOUND - 0.1)
            limiter.answered(wait)
        clock.s += 0.5
        assert limiter.slowness == pytest.approx(BOUND - 0.1)
        assert limiter.room == room
        assert not let_in(limiter)


def test_a_caller_that_was_let_in_takes_room_before_they_have_asked_and_not_for_ever() -> None:
    limiter, clock = crowded()
    clock.s += 60
    admitted = sum(let_in(limiter) for _ in range(100))
    assert admitted == -(-limiter.room // 1)
    clock.s += 3
    assert limiter.taken == 0
    assert let_in(limiter)


def test_the_refused_are_told_to_come_back_one_after_the_other() -> None:
    limiter, _ = crowded()
    with ExitStack() as stack:
        full(limiter, stack)
        few = [told(limiter) for _ in range(20)]
        for _ in range(2_000):
            told(limiter)
        many = [told(limiter) for _ in range(200)]
    assert 1 <= min(few) < max(few) < 60
    assert len({round(after_s) for after_s in many}) > 20, "in different seconds"
    assert max(many) <= 60
    assert median(many) > median(few), "the more there are the later"


def told(limiter: ConcurrencyLimiter) -> float:
    with pytest.raises(GatewayBusy) as refused:
        limiter.check()
    assert refused.value.retry_after_s is not None
    return refused.value.retry_after_s


def test_a_caller_that_waits_for_longer_than_is_called_late_counts_before_there_is_an_answer() -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        beside(limiter, stack, 2)
        for _ in range(3):
            stack.enter_context(limiter.turn("read"))
        assert limiter.slowness is None
        clock.s += 3 * USUAL_S
        assert limiter.slowness == pytest.approx(3)
    assert limiter.slowness is None


def test_after_a_cut_only_those_count_who_came_since() -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        waits = [stack.enter_context(limiter.turn("read")) for _ in range(12)]
        clock.s += 3 * USUAL_S
        room = limiter.room
        assert room < 12
        for wait in waits:  # who came before it is still late, and that is no news
            clock.s += 0.3
            limiter.answered(wait)
        assert limiter.slowness is None
        assert limiter.room == room
