"""An engine that cannot keep up: what was taken is served, what is more is refused with when to come back."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.clients.native_client import Heard, ask, create, frames, listen_until_over, open_stream
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

ROOM = 3
COMPLETION = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Me too"}]}
STORY = "The keeper lit the lamp. The fox watched the sea."


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    script = {"reply": STORY, "first_delta_ms": 6_000}
    limits = {"admission": {"waiting_turns": ROOM}}
    with running_app(scripted_settings(tmp_path, llm=script, limits=limits)) as running:
        yield running


async def test_requests_beyond_the_queue_hear_when_to_come_back_and_taken_ones_are_served(
    app: RunningApp,
) -> None:
    assert app.services is not None
    backpressure = app.services.backpressure
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        assert (await http.get("/v1/ready")).json()["status"] == "ready"
        sessions = [await create(http) for _ in range(ROOM + 1)]
        taken = {session: await ask(http, session, prompt="A story") for session in sessions[:ROOM]}
        await eventually(lambda: backpressure.waiting == ROOM)
        late = sessions[ROOM]
        refusals = [
            await http.get("/v1/ready"),
            await http.post("/v1/sessions", json={}),
            await http.post(f"/v1/sessions/{late}/turns", json={"prompt": "Me too"}),
            await http.post("/v1/chat/completions", json=COMPLETION),
        ]
        assert {one.status_code for one in refusals} == {503}, [one.text for one in refusals]
        assert all(int(one.headers["Retry-After"]) >= 1 for one in refusals)
        assert refusals[0].json()["status"] == "saturated"
        assert refusals[2].json()["code"] == "gateway.busy"
        async with open_stream(app.ws_url, late) as socket:
            await socket.send('{"type": "turn.request", "prompt": "Me too", "ref": "a"}')
            async for event, _ in frames(socket):
                if event.get("ref") == "a":
                    break
        assert (event["type"], event["code"], event["retryable"]) == ("error", "gateway.busy", True)
        assert event["retry_after_s"] >= 1
        for session, turn in taken.items():
            heard = await listen_until_over(app.ws_url, session, turn, Heard(), audio="opus")
            assert heard.text(turn) == STORY
            assert heard.types(turn)[-1] == "turn.completed"
        assert (await http.get(f"/v1/sessions/{late}")).json()["head_seq"] == 1
        assert (await http.get("/v1/ready")).status_code == 200
        again = await ask(http, late, prompt="Me too")
        heard = await listen_until_over(app.ws_url, late, again, Heard())
        assert heard.types(again)[-1] == "turn.completed"
