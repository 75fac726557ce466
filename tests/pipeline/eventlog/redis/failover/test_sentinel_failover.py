"""A master that sentinels watch dies in mid-turn: the events that no replica had come back."""

import json
from pathlib import Path

import anyio
import httpx
import pytest

from loadtests.chaos.redis_faults import fail_master_over
from loadtests.servers.redis_servers import find_server, watched_redis
from pipeline.eventlog.redis.codec import Keys
from schemas.ids import SessionId
from tests.pipeline.eventlog.redis.cluster.test_cluster_failover import STORY, one_turn, turns
from tests.support.clients.native_client import Heard, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


@pytest.mark.long
async def test_a_new_master_gets_back_what_it_lacks(tmp_path: Path) -> None:
    try:
        find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with watched_redis(tmp_path / "redis") as watched:
        addresses = [sentinel.address for sentinel in watched.sentinels]
        script = {"reply": STORY, "delta_chars": 8, "per_delta_ms": 30}
        log = {"mode": "sentinel", "sentinels": addresses}
        with running_app(scripted_settings(tmp_path / "home", llm=script, log=log)) as app:
            async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
                session, heard = await create(http), Heard()
                key = Keys(16).meta(SessionId(session))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one_turn, app, http, session, heard)
                    await eventually(lambda: len(heard.events) > 12)
                    failover = await anyio.to_thread.run_sync(fail_master_over, watched, key)
                [turn] = turns(heard)
                again = await listen_until_over(app.ws_url, session, turn, audio="opus")
    assert failover.lost > 0, "the failover lost nothing, so the test shows nothing"
    assert heard.text(turn) == STORY
    assert json.dumps(again.events) == json.dumps(heard.events)
    assert again.audio == heard.audio
