"""Periodic tasks of a process wake it together."""

import os

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import TICK_S, coalesced, coalesced_sleep


@given(now_s=st.floats(0, 1e7), seconds=st.floats(0, 600))
def test_a_coalesced_moment_is_a_tick_near_the_wished_one_and_never_a_past_one(
    now_s: float, seconds: float
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(anyio, "current_time", lambda: now_s)
        moment_s = coalesced(seconds)
        other_s = coalesced(seconds + TICK_S)
    if seconds < TICK_S:
        assert moment_s == now_s + seconds
    else:
        assert other_s - moment_s == pytest.approx(TICK_S, abs=1e-6)
        assert moment_s > now_s
        assert abs(moment_s - (now_s + seconds)) <= TICK_S / 2 + 1e-6


def test_processes_that_start_after_one_another_wake_at_different_moments() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(anyio, "current_time", lambda: 1_000.0)
        moments = set()
        for process in range(500, 510):
            patched.setattr(os, "getpid", lambda process=process: process)
            moments.add(coalesced(60))
    assert len(moments) == 10


@pytest.mark.anyio
async def test_tasks_that_begin_at_different_times_wake_at_the_same_moment() -> None:
    begun_s = coalesced(TICK_S)
    with pytest.MonkeyPatch.context() as patched:
        moments = []
        for later_s in (0.0, 0.03, 0.09):
            patched.setattr(anyio, "current_time", lambda later_s=later_s: begun_s + later_s)
            moments.append(coalesced(TICK_S))
    assert len(set(moments)) == 1
    await coalesced_sleep(TICK_S)
    assert anyio.current_time() >= begun_s - 0.002  # the loop's own resolution
