"""Whichever gateway is scraped, the page tells what all have done, as the log says it."""

import shutil
from pathlib import Path

import anyio
import httpx
import orjson
import pytest
from redis import Redis

from cluster.terminal.metric_readings import Page
from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.server import Durability
from pipeline.observability import metric_names
from pipeline.observability.metric_fold import recounted
from pipeline.observability.tally import Tally
from schemas.ids import SessionId
from schemas.settings import LogSettings
from tests.support.clients.native_client import ask, create, listen_until_over, open_stream
from tests.support.fixtures.metrics_fixtures import Gateways
from tests.support.running_app import running_app, scripted_settings

pytestmark = pytest.mark.anyio


async def scraped(http: httpx.AsyncClient) -> Page:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return Page(answer.text)


async def page_where(http: httpx.AsyncClient, metric: metric_names.Metric, value: float) -> Page:
    """The first page on which it has this value: a page may be two seconds old."""
    with anyio.fail_after(20):
        while True:
            page = await scraped(http)
            if page.value(metric) == value:
                return page
            await anyio.sleep(0.05)


async def counted(gateways: Gateways, turns: int) -> Tally:
    """Counts of the workers, once that many turns and all acknowledged playback are in them."""
    settings = gateways.first.settings
    log = open_log(settings.log, settings.home, settings.archive)
    try:
        with anyio.fail_after(30):
            while True:
                tally = await RedisMeasures(log.hot).tally()
                found = {series.metric: series.total for series in tally.series()}
                if found.get(metric_names.TURNS, 0) >= turns and found.get(metric_names.PLAYBACKS):
                    return tally
                await anyio.sleep(0.02)
    finally:
        await log.aclose()


async def anew(gateways: Gateways, sessions: list[str]) -> Tally:
    settings = gateways.first.settings
    log = open_log(settings.log, settings.home, settings.archive)
    try:
        total = Tally()
        for session in sessions:
            total.add(await recounted(log, SessionId(session)))
        return total
    finally:
        await log.aclose()


async def told_to_the_end(gateways: Gateways, session: str, turn: int) -> None:
    """Listen, and say how it went."""
    heard = await listen_until_over(gateways.second.ws_url, session, turn)
    audio_ms = heard.of("turn.completed", turn)[0]["data"]["audio_ms"]
    async with open_stream(gateways.second.ws_url, session, from_="head") as socket:
        ack = {"type": "playback.ack", "turn": turn, "heard_ms": audio_ms, "underruns": 3, "ended": True}
        await socket.send(orjson.dumps(ack).decode())
        async for frame in socket:
            event = orjson.loads(frame)
            if event["type"] == "playback.ended":
                assert event["data"] == {"heard_ms": audio_ms, "underruns": 3}
                break


async def test_every_gateway_tells_the_same_and_the_log_says_so_too(
    gateways: Gateways, http: httpx.AsyncClient
) -> None:
    sessions = [await create(http) for _ in range(3)]
    turns = [(session, await ask(http, session, prompt="Tell me")) for session in sessions * 2]
    for session, turn in turns:
        await listen_until_over(gateways.first.ws_url, session, turn)
    await told_to_the_end(gateways, *turns[-1])
    with anyio.fail_after(30):  # the workers count each event a moment after it is there
        while await counted(gateways, len(turns)) != await anew(gateways, sessions):
            pass

    page = await page_where(http, metric_names.PLAYBACKS, 1)
    async with httpx.AsyncClient(base_url=gateways.second.url, timeout=30) as other:
        elsewhere = await page_where(other, metric_names.PLAYBACKS, 1)
    for metric in (metric for metric in metric_names.ALL if metric.source == "log"):
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        for shown in (page, elsewhere):
            assert shown.by_name(name) == page.by_name(name), name
    assert page.value(metric_names.TURNS, outcome="completed", input="typed") == len(turns)
    assert page.value(metric_names.UNDERRUNS) == 3
    assert page.spread(metric_names.FIRST_SOUND).count == 1
    assert page.spread(metric_names.TTFA).count == len(turns)
    sentences = page.value(metric_names.SENTENCES, outcome="completed")
    assert page.spread(metric_names.SYNTHESIS_RTF).count == page.spread(metric_names.TTFB).count == sentences
    assert page.value(metric_names.LIVE) == len(sessions)
    assert page.value(metric_names.LOG_UP) == 1
    one = (await http.get(f"/v1/sessions/{sessions[0]}/metrics")).json()["metrics"]
    [first_audio] = [row for row in one if row["name"] == metric_names.TTFA.name]
    assert (first_audio["count"], first_audio["labels"]) == (2, {"kind": "prompt"})


async def test_every_process_is_on_every_page(gateways: Gateways, http: httpx.AsyncClient) -> None:
    with anyio.fail_after(20):
        while True:
            page = await scraped(http)
            processes = {name for (name,) in page.by(metric_names.MEMORY, "process")}
            if len(processes) >= 3:
                break
            await anyio.sleep(0.05)
    assert sorted(name.partition("-")[0] for name in processes) == ["gateway", "gateway", "worker"]
    assert page.spread(metric_names.APPEND).count > 0
    assert page.value(metric_names.ROOM) == 2 * gateways.first.settings.limits.live_sessions
    assert {name for (name,) in page.by(metric_names.LAG, "reader")} >= {"measuring", "directory"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
async def test_prometheus_itself_has_nothing_against_the_page(http: httpx.AsyncClient) -> None:
    page = (await http.get("/metrics")).content
    done = await anyio.run_process(["promtool", "check", "metrics"], input=page, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


async def test_without_the_log_the_page_says_so_in_time(tmp_path: Path) -> None:
    embedded_server.ensure(tmp_path, LogSettings())
    log = {"url": f"unix://{embedded_server.socket_path(tmp_path)}"}
    with running_app(scripted_settings(tmp_path, log=log)) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=8) as http:
            assert (await scraped(http)).value(metric_names.LOG_UP) == 1
            embedded_server.stop(tmp_path)
            page = await page_where(http, metric_names.LOG_UP, 0)
            assert page.value(metric_names.MEMORY)
            assert page.value(metric_names.TURNS) is None


async def test_a_log_server_that_loses_events_is_found_without_the_right_to_configure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedded_server.ensure(tmp_path, LogSettings())
    with Redis(unix_socket_path=str(embedded_server.socket_path(tmp_path))) as server:
        server.config_set("appendonly", "no")
        server.config_set("maxmemory-policy", "allkeys-lru")
        server.execute_command("ACL", "SETUSER", "default", "-config")
    settings = scripted_settings(tmp_path)
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=20) as http:
            page = await page_where(http, metric_names.LOG_UP, 1)
            assert (page.value(metric_names.LOG_EVICTS), page.value(metric_names.LOG_FORGETS)) == (1, 1)
    told = [record.message for record in caplog.records if "docs/redis.md" in record.message]
    assert ["maxmemory-policy allkeys-lru" in told[0], "appendonly no" in told[1]] == [True, True]


@pytest.mark.parametrize("policy", ["noeviction", "volatile-ttl", "volatile-lru"])
def test_policies_that_drop_archived_sessions_alone_are_safe(policy: str) -> None:
    said = f"# Memory\r\nmaxmemory_policy:{policy}\r\n# Persistence\r\naof_enabled:1\r\n".encode()
    assert Durability.read(said).warnings == ()
    assert Durability.read({"maxmemory_policy": policy, "aof_enabled": 1}).warnings == ()
    assert Durability.read(PermissionError("INFO is not allowed")).warnings == ()
