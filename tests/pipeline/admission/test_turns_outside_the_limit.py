"""Turns that say nothing of how many there is room for: held ones, other kinds, no bound."""

from contextlib import ExitStack
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings.limit_settings import AdmissionSettings
from tests.pipeline.admission.test_concurrency_limiter import USUAL_S, accustomed, beside, let_in, turn


def test_a_turn_held_back_on_purpose_is_not_late() -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        held = [stack.enter_context(limiter.turn("read")) for _ in range(4)]
        for wait in held:
            limiter.dropped(wait)
        clock.s += 30
        assert limiter.slowness is None


def test_kinds_are_compared_with_their_like_and_nothing_is_said_of_what_is_not_known() -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        for kind in ("searched", "unheard of"):
            for _ in range(6):  # one after the other: of the first kind that is usual
                with limiter.turn(kind) as wait:
                    clock.s += 20 * USUAL_S
                    limiter.answered(wait)
            beside(limiter, stack, 3)
        assert limiter.slowness is None
        for _ in range(6):
            with limiter.turn("searched") as wait:
                clock.s += 21 * USUAL_S
                limiter.answered(wait)
        assert limiter.room == inf


@given(st.floats(1.1, 50), st.sampled_from([0.0, USUAL_S]))
def test_without_a_bound_everybody_is_let_in(times: float, usual_s: float) -> None:
    limiter, clock = accustomed(usual_s, limits=AdmissionSettings(slowdown=None))
    with ExitStack() as stack:
        beside(limiter, stack, 3)
        for _ in range(30):
            assert let_in(limiter)
            turn(limiter, clock, times * USUAL_S)


def test_room_is_tried_again_when_all_who_are_inside_are_paused() -> None:
    limiter, clock = accustomed()
    with ExitStack() as stack:
        beside(limiter, stack, 10)
        for _ in range(3):
            wait = stack.enter_context(limiter.turn("read"))
            clock.s += 2 * USUAL_S
            limiter.answered(wait)
        assert not let_in(limiter), "answers began twice as late as usual"
        for _ in range(120):
            clock.s += 1
            if let_in(limiter):
                return
    pytest.fail("the room stayed as small as it was, although nothing was known any more")
