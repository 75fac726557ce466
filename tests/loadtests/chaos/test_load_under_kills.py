"""Processes die under people who listen and speak: they come back, and what was acknowledged is there."""

import asyncio
import random
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from time import monotonic

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from loadtests.client.api_connection import Failed, Refused
from loadtests.client.recorded_speech import available
from loadtests.report import load_page
from loadtests.report.load_result import PARTS, LoadResult
from loadtests.runner import load_run
from loadtests.runner.load_command import KEPT, load_main, measured, parsed
from loadtests.runner.load_run import DueKill, ProcessKiller, schedule
from loadtests.runner.usage_summary import keys
from loadtests.servers.gateway_system import GatewaySystem
from loadtests.servers.system_processes import members
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import LogSettings
from tests.loadtests.chaos.test_load_during_drains import READ_OUT, SCRIPT, SLOWLY, listened_to
from tests.loadtests.load_results import result_with
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio]


@given(st.floats(1, 600), st.floats(1, 20_000), st.integers(0, 999))
def test_kills_come_in_rounds_of_all_parts_and_leave_the_ends_of_the_run_alone(
    every_s: float, seconds: float, seed: int
) -> None:
    dues = schedule(every_s, seconds, seed)
    assert dues == schedule(every_s, seconds, seed)
    margin_s = min(60.0, every_s)
    assert all(margin_s <= due.at_s <= seconds - margin_s for due in dues)
    assert all(after.at_s - before.at_s == pytest.approx(every_s) for before, after in pairwise(dues))
    for start in range(0, len(dues), len(PARTS)):
        of_round = [due.part for due in dues[start : start + len(PARTS)]]
        assert len(set(of_round)) == len(of_round)
    if not dues:
        assert seconds < 2 * margin_s


def test_the_order_of_a_round_is_the_seeds() -> None:
    orders = {tuple(due.part for due in schedule(60, 480, seed)) for seed in range(20)}
    assert len(orders) > 10


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Failed("connection", "ConnectError"), True),
        (Failed("http.500", passing=True), True),
        (Failed("log.unavailable", passing=True), True),
        (Refused("log.unavailable"), True),
        (Refused("gateway.leaving"), True),
        (Refused("gateway.busy"), False),
        (Refused("limit.turns"), False),
        (Failed("turn.failed"), False),
        (Failed("cursor.ahead"), False),
    ],
)
def test_only_what_may_go_by_itself_is_tried_again(error: Refused | Failed, passes: bool) -> None:
    assert error.passing is passes


async def one_of_those_in_use(http: httpx.AsyncClient, scenario: str) -> int:
    """A gateway's process. Callers of a storm may not be there whenever one looks: then either of them."""
    # Listeners of one session leave together: of those about to leave, the kill cuts nobody off.
    least = 5 if scenario == "audience" else 1
    for looks in count():
        if there := await listened_to(http, least):
            return there[0]
        if scenario == "storm" and looks == 40:
            break
        await anyio.sleep(0.05)
    return int((await http.get("/v1/gateways")).json()["gateways"][0]["pid"])


@pytest.mark.redis
@pytest.mark.parametrize("scenario", ["chat", "events", "audience", "storm", "call"])
async def test_people_go_on_after_their_gateway_was_killed_and_miss_nothing(
    tmp_path: Path, scenario: str
) -> None:
    if scenario == "call" and not available():
        pytest.skip("needs Debian's pocketsphinx-testdata")
    much = "--rate 1/s --turns 1" if scenario == "call" else "--rate 2/s --turns 2 --listeners 4"
    words = f"--scenario {scenario} {much} --for 2 --arrivals constant --think 0.5 --kill-every 1"
    arguments = parsed([*words.split(), "--quiet"])
    arguments.command = "make load"
    voice = READ_OUT if scenario == "audience" else SLOWLY
    async with GatewaySystem(tmp_path, 2, SCRIPT, random.Random(1), tts=voice) as system:
        async with httpx.AsyncClient(base_url=system.url, timeout=30) as http, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(measured(arguments, system.url, None))
            system.kill_gateway(await one_of_those_in_use(http, scenario))
            assert not running.done(), "people are there"
            system.kill_log()
        result = running.result()
    assert (result.people.codes, result.people.fine) == ({}, result.people.planned)
    assert result.people.broken > 0 or scenario == "storm", "callers of a storm cut their lines themselves"
    wrong = {kind: count for kind, count in result.judgement.counts.items() if count and kind != "gaps"}
    assert wrong == {}, result.judgement.examples
    assert result.judgement.compared_with_log == result.people.planned


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Two, each with a log server of its own."""
    found = [tmp_path / "ours", tmp_path / "others"]
    for home in found:
        started(home, monkeypatch)
    yield found
    for home in found:
        embedded_server.stop(home)


def started(home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of its log server, which was started or runs already."""
    monkeypatch.setenv("RHAPSODE_HOME", str(home))
    return embedded_server.ensure(home, LogSettings()).pid


async def test_only_processes_of_that_home_are_killed_and_who_follows_is_noted(
    homes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = homes
    first, spared = started(ours, monkeypatch), started(others, monkeypatch)
    killer = ProcessKiller(ours, [DueKill(0.0, "Log server"), DueKill(0.0, "LanguageModel")], 1)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(killer.run(monotonic()))
        await eventually(lambda: len(killer.kills) == 2)
        second = started(ours, monkeypatch)
    assert second != first
    assert started(others, monkeypatch) == spared
    log, nobody = killer.kills
    assert (log.part, log.pid) == ("Log server", first)
    assert log.back_s is not None
    assert (nobody.part, nobody.pid, nobody.back_s) == ("LanguageModel", None, None)


@dataclass(frozen=True)
class Process:
    """Of a part that is not there."""

    pid: int


async def test_one_new_process_does_not_stand_in_for_two_that_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living, looks = [Process(1), Process(2)], 0

    def of_part(home: Path, part: str) -> list[Process]:
        nonlocal looks
        looks += 1
        return list(living)

    def killed(victim: Process) -> int:
        living.remove(victim)
        return victim.pid

    monkeypatch.setattr(load_run, "_LOOK_S", 0.01)
    monkeypatch.setattr(load_run, "_of_part", of_part)
    monkeypatch.setattr(load_run, "_killed", killed)
    killer = ProcessKiller(tmp_path, [DueKill(0.0, "Gateway"), DueKill(0.0, "Gateway")], 1)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(killer.run(monotonic()))
        await eventually(lambda: len(killer.kills) == 2)
        living.append(Process(3))
        await eventually(lambda: any(kill.back_s is not None for kill in killer.kills))
        before = looks
        await eventually(lambda: looks >= before + 3)
        assert sum(kill.back_s is not None for kill in killer.kills) == 1
        living.append(Process(4))
    assert all(kill.back_s is not None for kill in killer.kills)


def test_the_table_of_a_soak_has_every_fault_gaps_too() -> None:
    table = load_page.report(result_with("fine", answers=9, answered=9, counts={"gaps": 3}))
    assert "| what they heard | 81 events, 9 answers; gaps 3, cut_tails 0, cross_talk 0, lost 0," in table


def test_the_memory_of_a_system_is_told_by_part_and_by_the_keys_of_its_log(
    homes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = homes
    server = Redis(unix_socket_path=str(embedded_server.socket_path(ours)), protocol=2)
    server.set("a", 1)
    server.xadd("b", {"c": 1})
    server.set("tombstone", 1, ex=9_000)
    server.close()
    found = keys(ours)
    assert (found["keys"], found["streams"]) == (2, 1)
    assert found["log_disk_bytes"] > 0
    [log] = members(ours)
    assert (log.part, log.process.split()[0]) == ("Log server", str(started(ours, monkeypatch)))
    assert log.mb > 0
    assert log.fds > 0
    assert log.threads > 0
    embedded_server.stop(ours)
    assert keys(ours).keys() == {"log_disk_bytes"}
    assert members(ours) == []


@pytest.mark.serve
@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_soak_of_a_system_of_its_own_loses_nothing_although_its_parts_are_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = "--arrivals soak --scenario chat --rate 1/s --for 40 --kill-every 12 --seed 81 --quiet"
    wishes = "--require broken>=1 --require kills>=2 --require kills_not_followed<=0 --require failed<=0"
    folders = f"--out {tmp_path} --plots {tmp_path / 'plots'}"
    monkeypatch.setattr(sys, "argv", ["load", *f"{words} {wishes} {folders}".split()])
    assert load_main() == KEPT, (tmp_path / "load.json").read_text("utf-8")[-4_000:]
    result = LoadResult.model_validate_json((tmp_path / "load.json").read_text("utf-8"))
    assert [kill.part for kill in result.system.kills] == ["Gateway", "Log server"]
    html = (tmp_path / "load.html").read_text("utf-8")
    assert "What was killed" in html
    names = {file.stem for file in (tmp_path / "plots").iterdir()}
    assert names >= {"soak-memory", "soak-descriptors", "soak-tasks", "soak-streams"}
    check_what_is_kept(result, tmp_path / "measurements.md")
    for file in (tmp_path / "plots").iterdir():
        drawing = ET.fromstring(file.read_text("utf-8"))
        assert len(drawing.findall(".//*[@class='kill']")) == 2


def check_what_is_kept(result: LoadResult, tables: Path) -> None:
    """In the place that docs/measurements.md has for it, before what was there."""
    text = load_page.TABLES.read_text("utf-8")
    tables.write_text(text, "utf-8")
    load_page.keep(result, tables)
    before, _, after = text.partition(load_page.MARK)
    kept = tables.read_text("utf-8")
    assert kept.startswith(before + load_page.MARK)
    assert kept.endswith(after)
    table = kept.removeprefix(before).removesuffix(after)
    assert "| killed: a gateway | 1 times; another one after" in table
    assert "| kills_not_followed" not in table
    assert "| `kills_not_followed<=0` | 0: kept |" in table
