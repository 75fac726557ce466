"""Several processes of the load tester: the same people, put together exactly, nobody dropped silently."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import anyio.to_thread
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.client.caller_record import CallerRecord, LatencySample
from loadtests.report import load_summary
from loadtests.report.load_result import LoadResult
from loadtests.runner import usage_summary
from loadtests.runner.load_command import STOPPED, measured, parsed, planned
from loadtests.runner.open_loop import ClockTick, LoadPlan, ProcessShare, lost
from tests.loadtests.altered_streams import noted, stream
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

pytestmark = [pytest.mark.anyio]

PEOPLE = "--scenario chat --rate 6/s --for 2 --arrivals constant --turns 2 --think 0.01 --no-listen"
LONG = (
    "--scenario chat --rate 6/s --for 60 --arrivals constant --turns 9 --think 30 --no-listen --processes 2"
)


@given(st.integers(1, 9), st.integers(0, 50), st.integers(1, 40))
def test_people_and_places_are_dealt_out_whole(processes: int, most: int, people: int) -> None:
    arguments = parsed(
        ["--rate", f"{people}/s", "--for", "1", "--arrivals", "constant", "--scenario", "chat"]
    )
    plan, _ = planned(arguments)
    parts = [part_of(plan, number, processes) for number in range(processes)]
    assert sorted(number for part in parts for number in part.numbers) == list(range(len(plan.due_s)))
    assert sum(part.part(most) for part in parts) == most


def part_of(plan: LoadPlan, number: int, processes: int) -> LoadPlan:
    return replace(plan, process=number, processes=processes)


def visits(count: int) -> list[CallerRecord]:
    dice = Random(3)
    found = []
    for number in range(count):
        due_s = number * 0.1
        visit = CallerRecord(
            number, "chat", due_s, late_s=0.01, ended_s=due_s + dice.uniform(0.1, 5), outcome="fine"
        )
        visit.samples = [LatencySample("ttfa", due_s, dice.expovariate(0.01)) for _ in range(3)]
        frames = stream(["I am here. "], [[40, 60]])
        if number % 5 == 0:
            frames.pop(3)  # an event is lost
        visit.heard = [(f"session-{number}", noted(frames))]
        found.append(visit)
    return found


@given(st.integers(1, 7))
def test_the_results_of_several_processes_are_those_of_one(processes: int) -> None:
    everybody = visits(40)
    parts = [everybody[number::processes] for number in range(processes)]
    samples = [load_summary.answered(part, 0.0) for part in parts]
    whole = load_summary.answered(everybody, 0.0)
    assert load_summary.latencies(sample for part in samples for sample in part) == load_summary.latencies(
        whole
    )
    judged, alone = (
        load_summary.together([load_summary.judgement(part) for part in parts]),
        load_summary.judgement(everybody),
    )
    assert judged.model_copy(update={"examples": ()}) == alone.model_copy(update={"examples": ()})
    assert judged.counts["lost"] == 8
    assert len(judged.examples) == len(alone.examples) == 5


def test_each_process_has_its_own_lateness_and_the_worst_is_that_of_the_client() -> None:
    calm = ProcessShare(
        [CallerRecord(0, "chat", 0.0, late_s=0.001)], ticks=[ClockTick(0, 1, 1), ClockTick(1, 2, 3)]
    )
    busy = ProcessShare(
        [CallerRecord(1, "chat", 0.0, late_s=0.2)], ticks=[ClockTick(0, 90, 0), ClockTick(1, 5, 4)]
    )
    seen = usage_summary.client([calm, busy])
    assert (seen.late_p99_ms, seen.starts_late_p99_ms, seen.cpu_s) == (90, 200, 6)
    assert [one.late_p99_ms for one in seen.processes] == [2, 90]


def test_the_people_of_a_process_that_died_are_counted_and_those_who_are_known_stay() -> None:
    arguments = parsed([*PEOPLE.split(), "--processes", "3"])
    plan, _ = planned(arguments)
    gone = lost(part_of(plan, 1, 3), "process 2 died after 1 s (signal 9)", 1.0)
    kept = visits(4)
    people = load_summary.people([*kept, *gone.visits])
    assert (people.lost_with_process, people.fine, people.planned) == (4, 4, 8)
    assert load_summary.CallersInside(gone.visits).most == 0, "nobody knows how long they were there"


async def test_people_in_three_processes_are_all_there_and_judged(app: RunningApp) -> None:
    arguments = parsed([*PEOPLE.split(), "--quiet", "--processes", "3"])
    arguments.command = "make load"
    result = await measured(arguments, app.url, None)
    assert (result.people.fine, result.people.planned, result.people.codes) == (12, 12, {})
    assert [one.people for one in result.client.processes] == [4, 4, 4]
    assert result.judgement.answers == 24
    assert result.judgement.compared_with_log == 12
    assert sum(moment.came for moment in result.timeline) == 12
    assert all(one.kept for one in result.requirements)
    assert result.system.looked


def begun(app: RunningApp, out: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "loadtests", "load", *LONG.split(), "--url", app.url, "--out", str(out)]
    with (out.parent / "said.txt").open("wb") as said:
        return subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)


def workers(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    found = psutil.Process(process.pid).children()
    return [one for one in found if "--multiprocessing-fork" in one.cmdline()]


async def people_inside(out: Path) -> None:
    """Return when the line of progress tells of some."""
    said = out.parent / "said.txt"
    await eventually(lambda: any(f" {number} inside" in said.read_text() for number in range(3, 99)))


async def ended(process: "subprocess.Popen[bytes]") -> int:
    await eventually(lambda: process.poll() is not None)
    return process.returncode


async def test_ctrl_c_sends_everybody_away_and_reports_what_there_was(
    app: RunningApp, tmp_path: Path
) -> None:
    process = begun(app, tmp_path / "out")
    await people_inside(tmp_path / "out")
    children = workers(process)
    assert len(children) == 2
    os.killpg(process.pid, signal.SIGINT)
    assert await ended(process) == STOPPED
    result = LoadResult.model_validate_json((tmp_path / "out" / "load.json").read_text())
    assert result.stopped
    assert result.people.unfinished + result.people.fine == result.people.planned > 0
    assert "Stopped by hand" in " ".join(result.notes)
    assert not any(child.is_running() for child in children)


async def test_the_people_of_a_process_that_is_killed_are_told_as_lost(
    app: RunningApp, tmp_path: Path
) -> None:
    process = begun(app, tmp_path / "out")
    await people_inside(tmp_path / "out")
    worker = workers(process)[0]
    worker.kill()
    await anyio.to_thread.run_sync(worker.wait, 30)  # until its parent knows
    process.send_signal(signal.SIGINT)
    assert await ended(process) == STOPPED
    result = LoadResult.model_validate_json((tmp_path / "out" / "load.json").read_text())
    assert result.people.lost_with_process == 180
    assert "signal 9" in " ".join(result.notes)
    [broken] = [one for one in result.requirements if not one.kept]
    assert broken.wish == "lost_with_process<=0"


async def test_no_process_outlives_the_one_that_began_it(app: RunningApp, tmp_path: Path) -> None:
    process = begun(app, tmp_path / "out")
    await people_inside(tmp_path / "out")
    children = workers(process)
    process.kill()
    process.wait()
    await eventually(lambda: not any(child.is_running() for child in children))
