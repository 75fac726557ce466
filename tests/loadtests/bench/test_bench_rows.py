"""Each row in small against real applications: what it tells is of what it says."""

from pathlib import Path

import pytest

from loadtests.bench.rows import narration_climb, session_growth, session_lengths
from loadtests.bench.rows.narration_climb import NarrationClimb
from loadtests.bench.rows.session_lengths import session_of
from loadtests.bench.rows.session_lengths import turns as past_turns
from loadtests.client.api_connection import ApiConnection
from loadtests.peers.session_climb import ClimbStep
from loadtests.servers.rhapsode_process import bare_stream
from pipeline.eventlog.open_log import open_log
from schemas.events.recorded import Recorded
from schemas.ids import Seq
from schemas.settings import SessionSettings
from tests.loadtests.bench.conftest import Apart
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("events", "turns"), [(10, 1), (105, 1), (106, 2), (1_234, 13)])
async def test_a_session_with_a_past_is_as_long_as_wished_and_nothing_is_left_to_do(
    app: RunningApp, events: int, turns: int
) -> None:
    log = open_log(app.settings.log, app.settings.home)
    session = await session_of(log, events, SessionSettings(speak=False))
    log_events: list[Recorded] = []
    while page := await log.read(session, Seq(len(log_events)), limit=2_000):
        log_events += page
    [head] = await log.heads([session])
    await log.aclose()
    assert [event.seq for event in log_events] == list(range(1, events + 1))
    assert head is not None
    assert (head.seq, head.state) == (events, "live")
    client = ApiConnection(app.url)
    page = (await client.page(f"/v1/sessions/{session}")).text
    await client.aclose()
    assert page.count('"status":"completed"') == turns


def test_a_past_that_is_too_short_to_say_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="says nothing"):
        list(past_turns(4, SessionSettings(), 0))


async def test_every_step_is_taken_at_every_length_and_told_beside_the_shortest(app: RunningApp) -> None:
    found = await session_lengths.lengthening(app.url, app.settings.home, (10, 300), 2)
    rows = list(session_lengths.length_rows(found))
    assert [row.key for row in rows] == [f"g.length.300.{step}" for step in session_lengths.STEPS]
    assert all(len(row.ours) == len(row.floor) == 2 and row.ratio for row in rows)
    assert all("10: " in row.row.note and "300: " in row.row.note for row in rows)


async def test_narrations_are_heard_to_their_ends_beside_one_alone(app: RunningApp) -> None:
    climbed = await narration_climb.climbing(app.url, (1, 3), 0.4, 40, warm_up_s=0.2)
    [row] = narration_climb.climb_rows(climbed)
    assert row.key == "e.3"
    assert row.share == 0.95
    assert row.ratio is not None
    assert climbed.rates[3] > 0
    assert len(row.row.ours) >= 3


def test_the_narrations_that_stay_in_time_are_told_with_those_of_the_budget() -> None:
    steps = [
        ClimbStep(1, [100.0] * 20, 0),
        ClimbStep(50, [120.0] * 20, 0),
        ClimbStep(narration_climb.BUDGET, [400.0] * 20, 1),
    ]
    sizes = {step.sessions: 20.0 for step in steps}
    rows = narration_climb.climb_rows(NarrationClimb(steps, 50, sizes, dict.fromkeys(sizes, 0.0)))
    assert [row.row.kept for row in rows] == [None, False]
    assert "50 narrations stay within 1.5x" in rows[-1].row.note
    assert "1 failed" in rows[-1].row.note


def test_sessions_that_could_not_all_be_answered_are_told_and_miss_their_budget() -> None:
    points = [
        session_growth.GrowthPoint(1, [300.0], [[2.0]], [20.0]),
        session_growth.GrowthPoint(200, refused=9, begun=140),
    ]
    for row in session_growth.growth_rows(points):
        assert row.ratio is None
        assert "only 140 were answered; refused 9 times" in row.told.note
    assert session_growth.growth_rows(points)[0].row.kept is False


async def test_more_sessions_are_told_beside_the_first_ones_with_what_their_events_cost(apart: Apart) -> None:
    points = await session_growth.growing(
        apart.url, apart.meter, (1, 4), windows=3, seconds=0.4, rest_s=0.0, settle_s=0.1
    )
    cpu, delay = session_growth.growth_rows(points)
    assert (cpu.key, delay.key) == ("g.resting.4.cpu", "g.resting.4.delta")
    assert len(cpu.ours) == len(delay.ours) == 3
    assert delay.ratio is not None
    assert all(ms > 0 for window in delay.ours for ms in window)
    assert all(rate > 0 for rate in points[1].rate)


async def test_a_live_session_holds_memory_and_is_told_beside_a_bare_connection(
    apart: Apart, tmp_path: Path
) -> None:
    with bare_stream(tmp_path, session_growth.SCRIPT) as bare:
        held = await session_growth.holding(apart.url, apart.home, bare, 8, {"speak": False}, 0.5, 0.1)
    now, later = session_growth.memory_rows(held)
    assert (now.key, later.key) == ("f.session", "f.longer.0.5")
    assert held.sessions == 8
    assert len(held.each_mb) == len(held.bare_mb) == session_growth.STEPS
    assert held.events > 0
    assert held.later_mb[0] > 0
    assert "for 1,000 events more" in later.row.note
