"""Gateways that share the processors of a machine share what they know of how late answers begin."""

import random
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from loadtests.report.tables import percentile
from pipeline.admission.concurrency_limiter import ConcurrencyLimiter, Neighbours
from tests.pipeline.admission.test_concurrency_limiter import (
    BOUND,
    LIMITS,
    MAKING_S,
    STEP_S,
    USUAL_S,
    Turn,
    let_in,
    turn,
)
from tests.support.clocks import Hours

SAY_S = 0.5
SECONDS = 90
VERY_LATE = [(0.1, 9.0)] * 8


@dataclass
class Machine:
    """Makes so many turns at a time; who was let in by one gateway asks any of them a moment later."""

    gateways: int
    at_a_time: int
    tell: bool = True
    """Gateways hear of each other."""
    jitter: float = 0.0
    """Of how long an answer takes to begin: the sigma of a lognormal factor."""
    slower: float = 1.0
    """So many times as long as what everybody was accustomed to."""
    waits: list[float] = field(default_factory=list)
    made: int = 0
    turned_away: int = 0

    def __post_init__(self) -> None:
        self.clock, self.dice = Hours(), random.Random(1)
        self.due: dict[int, float] = {}
        self.inside: list[tuple[Turn, ConcurrencyLimiter]] = []
        self.all = [ConcurrencyLimiter(LIMITS, self.clock, random.Random(n)) for n in range(self.gateways)]
        for limiter in self.all:
            for _ in range(5):
                turn(limiter, self.clock, USUAL_S)
        self.clock.s += 60

    def go_through(self, part: float, seconds: float = SECONDS) -> "Machine":
        """People come, `part` times as many as can be answered."""
        inside = self.inside = list[tuple[Turn, ConcurrencyLimiter]]()
        asking: list[ConcurrencyLimiter] = []
        due = 0.0
        for step in range(round(seconds / STEP_S)):
            self.clock.s += STEP_S
            if self.tell and step % round(SAY_S / STEP_S) == 0:
                self.say()
            due += STEP_S * part * self.at_a_time / MAKING_S
            for limiter in asking:
                over = ExitStack()
                begun = Turn(self.clock.s, over.enter_context(limiter.turn("read")), over)
                self.due[id(begun)] = USUAL_S * self.slower * self.dice.lognormvariate(0, self.jitter)
                inside.append((begun, limiter))
            asking = []
            while due >= 1:
                due -= 1
                if let_in(self.dice.choice(self.all)):
                    asking.append(self.dice.choice(self.all))
                else:
                    self.turned_away += 1
            inside = self.inside = self.go_on(inside, measured=step * STEP_S > seconds / 4)
        for each, _ in inside:
            each.over.close()
        return self

    def go_on(
        self, inside: list[tuple[Turn, ConcurrencyLimiter]], *, measured: bool
    ) -> list[tuple[Turn, ConcurrencyLimiter]]:
        for each, limiter in inside:
            each.made_s += STEP_S / max(1.0, len(inside) / self.at_a_time)
            if each.made_s >= self.due[id(each)] and not each.begun:
                each.begun = True
                limiter.answered(each.wait)
                if measured:
                    self.waits.append(self.clock.s - each.came_s)
            if each.made_s >= MAKING_S:
                each.over.close()
                self.made += 1
        return [one for one in inside if one[0].made_s < MAKING_S]

    def say(self) -> None:
        said = [(running, one.lately) for running, one in zip(self.running(), self.all, strict=True)]
        for number, limiter in enumerate(self.all):
            others = said[:number] + said[number + 1 :]
            lately = [answer for _, answers in others for answer in answers]
            limiter.update_neighbours(Neighbours(len(others), sum(running for running, _ in others), lately))

    def running(self) -> list[int]:
        return [sum(limiter is one for _, limiter in self.inside) for one in self.all]

    @property
    def p95(self) -> float:
        return percentile(self.waits, 0.95) / USUAL_S


@pytest.mark.parametrize("part", [1.5, 3, 6])
@pytest.mark.parametrize(("gateways", "at_a_time"), [(2, 6), (2, 12), (4, 12), (4, 24)])
def test_a_caller_that_is_let_in_by_any_of_them_is_answered_in_time(
    gateways: int, at_a_time: int, part: float
) -> None:
    machine = Machine(gateways, at_a_time).go_through(part)
    assert machine.p95 <= 1.5 * BOUND
    assert machine.made >= 0.9 * SECONDS * at_a_time / MAKING_S, "and as much is made as can be"


@pytest.mark.parametrize(("gateways", "at_a_time"), [(2, 6), (2, 12), (1, 8)])
def test_where_it_was_too_much_a_while_ago_is_not_run_into_again_and_again(
    gateways: int, at_a_time: int
) -> None:
    machine = Machine(gateways, at_a_time, jitter=0.25).go_through(6)
    assert machine.p95 <= 1.25 * BOUND
    assert machine.made >= 0.9 * SECONDS * at_a_time / MAKING_S, "and as much is made as can be"


@pytest.mark.parametrize(("gateways", "at_a_time"), [(2, 4), (4, 4), (4, 6)])
def test_where_hardly_anybody_can_be_answered_that_is_known_to_all(gateways: int, at_a_time: int) -> None:
    together = Machine(gateways, at_a_time).go_through(6)
    each_alone = Machine(gateways, at_a_time, tell=False).go_through(6)
    assert together.p95 <= 0.8 * each_alone.p95


def test_an_old_word_of_neighbours_says_nothing() -> None:
    machine = Machine(1, 8)
    [limiter] = machine.all
    with ExitStack() as stack:
        for _ in range(6):
            limiter.dropped(stack.enter_context(limiter.turn("read")))
        assert let_in(limiter)
        limiter.update_neighbours(Neighbours(1, 0, VERY_LATE))  # nobody looks again so soon
        machine.clock.s += 5
        assert let_in(limiter)
        limiter.update_neighbours(Neighbours(1, 0, VERY_LATE))
        machine.clock.s += 0.3
        assert not let_in(limiter)


def test_a_caller_that_is_alone_here_while_neighbours_work_does_not_show_what_is_usual() -> None:
    machine = Machine(1, 8)
    [limiter] = machine.all
    for _ in range(30):
        limiter.update_neighbours(Neighbours(1, 6))
        turn(limiter, machine.clock, 4 * USUAL_S)
    assert limiter.room < 6


@pytest.mark.parametrize("gateways", [1, 2, 4, 8])
def test_where_there_is_room_for_all_hardly_anybody_is_refused_because_some_answers_are_late(
    gateways: int,
) -> None:
    machine = Machine(gateways, at_a_time=100 * gateways, jitter=0.25)
    machine.go_through(part=3 * gateways * MAKING_S / machine.at_a_time)
    assert machine.turned_away <= 0.05 * len(machine.waits)


@pytest.mark.parametrize("gateways", [2, 4, 8])
def test_a_lasting_slowness_is_usual_in_the_end(gateways: int) -> None:
    machine = Machine(gateways, at_a_time=60, slower=2.0)
    part = 4 * MAKING_S / machine.at_a_time
    machine.go_through(part, seconds=400)
    before = machine.turned_away
    assert machine.go_through(part, seconds=60).turned_away <= before + 0.05 * 4 * 60
