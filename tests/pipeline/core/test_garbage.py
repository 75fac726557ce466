"""Collections of garbage: what a long one has looked at is left out of the next ones, for a while."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, repeat

import pytest

from pipeline.core.garbage import short_collections


class Ring:
    """Refers to itself, so that only a collection finds it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def frozen_before() -> Iterator[None]:
    """Objects of the tests stay out of what other modules' tests collect."""
    gc.disable()
    gc.freeze()  # collections here look at what a test makes, and not at everything that others have left
    yield
    gc.collect()
    gc.freeze()
    gc.enable()


@contextmanager
def collected(step_s: float) -> Iterator[list[Ring]]:
    """A ring that a full collection has looked at, by a clock that goes on by `step_s` at each look at it."""
    clock = accumulate(repeat(step_s))
    with short_collections(lambda: next(clock)):
        held = [Ring()]
        gc.collect()
        yield held


@pytest.mark.parametrize(
    ("step_s", "is_found"),
    [(0.001, True), (1.0, False), (300.0, True)],
    ids=["short", "long", "long, and the last look at everything was long ago"],
)
def test_objects_that_a_long_collection_has_looked_at_are_left_out_of_the_next_ones(
    step_s: float, is_found: bool
) -> None:
    with collected(step_s) as held:
        known = weakref.ref(held.pop())
        gc.collect()
        assert (known() is None) == is_found


def test_an_object_without_references_goes_at_once_also_where_it_is_left_out() -> None:
    with collected(1.0) as held:
        known = weakref.ref(held[0])
        del held[0].own, held[0]
        assert known() is None


def test_the_collector_is_as_before_after_the_block() -> None:
    callbacks = list(gc.callbacks)
    with short_collections():
        assert len(gc.callbacks) == len(callbacks) + 1
    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0
