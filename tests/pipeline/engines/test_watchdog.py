"""The watchdog of engines: work without a sign of life, and nothing else, is too long."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pipeline.engines.watchdog import Watchdog
from schemas.errors import EngineDead


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(60, now=clock)


def test_an_engine_without_work_may_rest_for_ever(watchdog: Watchdog, clock: Clock) -> None:
    with watchdog.working():
        pass
    clock.s += 1e6
    watchdog.check()
    assert watchdog.still_s == 0


def test_work_that_gives_no_sign_of_life_for_too_long_is_told(watchdog: Watchdog, clock: Clock) -> None:
    with watchdog.working():
        clock.s += 60
        watchdog.check()
        clock.s += 1
        with pytest.raises(EngineDead, match="has not moved for 61 s"):
            watchdog.check()
    watchdog.check()


def test_a_sign_of_life_of_one_is_one_of_all_that_share_a_loop(watchdog: Watchdog, clock: Clock) -> None:
    with watchdog.working(), watchdog.working():
        for _ in range(10):
            clock.s += 50
            watchdog.moved()
            watchdog.check()
        clock.s += 61
        with pytest.raises(EngineDead):
            watchdog.check()


def test_one_stuck_thread_is_told_beside_others_that_work(watchdog: Watchdog, clock: Clock) -> None:
    """Pieces of work that begin and end say nothing of another one."""
    with watchdog.working():
        for _ in range(4):
            clock.s += 20
            watchdog.watched(lambda: None)
        with pytest.raises(EngineDead):
            watchdog.check()


def test_a_call_that_waits_for_a_thread_is_no_work(watchdog: Watchdog, clock: Clock) -> None:
    begun, go_on = Event(), Event()

    def first() -> None:
        begun.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(watchdog.watched, first)
        assert begun.wait(30)
        clock.s += 59
        second = pool.submit(watchdog.watched, lambda: watchdog.still_s)
        watchdog.check()
        go_on.set()
        assert second.result(30) == 0


def test_work_that_fails_is_over(watchdog: Watchdog, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError):
        watchdog.watched(lambda: 1 / 0)
    clock.s += 61
    watchdog.check()
