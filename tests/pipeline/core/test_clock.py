"""Periodic tasks of a process wake it together."""

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
    if seconds < TICK_S:
        assert moment_s == now_s + seconds
    else:
        assert moment_s % TICK_S == 0
        assert moment_s > now_s
        assert abs(moment_s - (now_s + seconds)) <= TICK_S / 2


@pytest.mark.anyio
async def test_tasks_that_begin_at_different_times_wake_at_the_same_moment() -> None:
    woken: list[float] = []

    async def sleep(before_s: float) -> None:
        await anyio.sleep(before_s)
        due_s = coalesced(TICK_S)
        await coalesced_sleep(TICK_S)
        assert anyio.current_time() >= due_s - 0.002  # the loop's own resolution
        woken.append(due_s)

    await anyio.sleep_until(coalesced(TICK_S))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep, 0.0)
        tasks.start_soon(sleep, 0.03)
    assert woken[0] == woken[1]
