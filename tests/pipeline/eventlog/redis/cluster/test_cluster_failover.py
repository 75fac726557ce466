"""A shard's primary dies with events that no replica has, and slots move: nobody who listens can tell."""

import json
from pathlib import Path

import anyio
import httpx
import pytest

from loadtests.chaos.redis_faults import fail_shard_over, move_slots
from loadtests.servers.redis_servers import RedisCluster
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from schemas.ids import SessionId
from tests.pipeline.eventlog.redis.cluster.conftest import settings_for
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

STORY = "The keeper lit the lamp, and the fox watched the sea. " * 16
KEYS = Keys(64)


def slot(session: str) -> int:
    return slot_of(KEYS.meta(SessionId(session)))


async def sessions_on_every_shard(http: httpx.AsyncClient, cluster: RedisCluster) -> dict[str, str]:
    """A session for each primary, by its address."""
    found: dict[str, str] = {}
    primaries = cluster.primaries()
    while len(found) < len(primaries):
        session = await create(http)
        found.setdefault(cluster.primary_of(slot(session)).address, session)
    return found


async def test_events_lost_by_a_shard_come_back_and_slots_move_unnoticed(
    cluster: RedisCluster, tmp_path: Path
) -> None:
    log = settings_for(cluster).model_dump(mode="json")
    script = {"reply": STORY, "delta_chars": 8, "per_delta_ms": 40}
    settings = scripted_settings(tmp_path / "home", llm=script, log=log)
    with running_app(settings, workers=True) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
            sessions = list((await sessions_on_every_shard(http, cluster)).values())
            heard = {session: Heard() for session in sessions}
            async with anyio.create_task_group() as tasks:
                for session in sessions:
                    tasks.start_soon(one_turn, app, http, session, heard[session])
                await eventually(lambda: all(len(one.events) > 12 for one in heard.values()))
                victim = KEYS.meta(SessionId(sessions[0]))
                failover = await anyio.to_thread.run_sync(fail_shard_over, cluster, victim)
            assert failover.lost > 0, "the failover lost nothing, so the test shows nothing"
            async with anyio.create_task_group() as tasks:
                for session in sessions:
                    tasks.start_soon(one_turn, app, http, session, heard[session])
                await anyio.to_thread.run_sync(move_slots, cluster, [slot(s) for s in sessions])
            for session in sessions:
                again = await listen_until_over(app.ws_url, session, turns(heard[session])[-1], audio="opus")
                assert [heard[session].text(turn) for turn in turns(heard[session])] == [STORY, STORY]
                assert json.dumps(again.events) == json.dumps(heard[session].events)
                assert again.audio == heard[session].audio
            listed = (await http.get("/v1/sessions", params={"limit": 200})).json()
            assert set(sessions) <= {one["session_id"] for one in listed["sessions"]}


def turns(heard: Heard) -> list[int]:
    return [event["seq"] for event in heard.of("turn.requested")]


async def one_turn(app: RunningApp, http: httpx.AsyncClient, session: str, heard: Heard) -> None:
    turn = await ask(http, session, prompt="story")
    await listen_until_over(app.ws_url, session, turn, heard, audio="opus")
