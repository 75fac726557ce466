"""Round trips to the log's server from a prompt to the call of the language model, with a cold owner."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.engines.ports import ChatRequest
from pipeline.eventlog.redis.server import Command, Server
from pipeline.sessions import session_owner
from tests.deployments.realtime.realtime_client import client
from tests.support.clients.native_client import ask, create, frames, listen_until_over, open_stream
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

BESIDE = ("Tailer._check_shard", "Leases._renew", "OwnerPool._look_for_work")
"""Tasks that no prompt waits for: they look for missed pushes, renew leases and look for work."""
SEEN = ["HMGET", "XRANGE"]
ASKED = ["ev2_append"]
TAKEN = ["ev2_acquire", "HMGET", "XRANGE"]
FENCED = ["ev2_append"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("trips")
    settings = scripted_settings(home, llm={"reply": "Yes."})
    with pytest.MonkeyPatch.context() as changes, running_app(settings) as running:
        changes.setattr(session_owner, "_LINGER_S", 0.0)
        yield running


class Trips:
    """Round trips about one session, until the language model is asked."""

    def __init__(self) -> None:
        self.session = ""
        self.sent: list[list[str]] = []

    @property
    def until_asked(self) -> list[list[str]]:
        """Those up to the append of the question: the owner's overlap with what its asker reads then."""
        return self.sent[: self.sent.index(ASKED) + 1]

    def note(self, commands: Sequence[Command]) -> None:
        task = asyncio.current_task()
        assert task is not None
        about = any(self.session in str(word) for command in commands for word in command)
        if self.session and about and not task.get_name().endswith(BESIDE):
            self.sent.append([str(one[1] if one[0] == "FCALL" else one[0]) for one in commands])


@pytest.fixture
def trips(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> Trips:
    trips, once, model = Trips(), Server.once, app.engines["language_model"]
    stream = model.stream

    async def counted(self: Server, commands: Sequence[Command], **how: Any) -> list[Any]:
        trips.note(commands)
        return await once(self, commands, **how)

    async def asked(request: ChatRequest) -> AsyncGenerator[Any, None]:
        trips.session = ""
        async with aclosing(stream(request)) as items:
            async for item in items:
                yield item

    monkeypatch.setattr(Server, "once", counted)
    monkeypatch.setattr(model, "stream", asked)
    return trips


@pytest.fixture
async def session(app: RunningApp, http: httpx.AsyncClient, trips: Trips) -> str:
    """A session, while this gateway owns none."""
    assert app.services is not None
    owners = app.services.sessions._owners
    await eventually(lambda: not owners.owned)
    return await create(http, settings={"speak": False})


async def answered(app: RunningApp, session: str, turn: int) -> None:
    await listen_until_over(app.ws_url, session, turn)
    assert app.services is not None
    owners = app.services.sessions._owners
    await eventually(lambda: not owners.owned)


async def test_a_first_prompt_takes_three(
    app: RunningApp, http: httpx.AsyncClient, session: str, trips: Trips
) -> None:
    trips.session = session
    await ask(http, session, prompt="Well?")
    await eventually(lambda: not trips.session)
    assert trips.sent == [SEEN, ASKED, TAKEN]


async def test_a_session_that_had_an_owner_takes_four(
    app: RunningApp, http: httpx.AsyncClient, session: str, trips: Trips
) -> None:
    await answered(app, session, await ask(http, session, prompt="Well?"))
    trips.session = session
    await ask(http, session, prompt="And now?")
    await eventually(lambda: not trips.session)
    assert trips.sent == [SEEN, ASKED, TAKEN, FENCED]


async def test_a_prompt_by_socket_takes_as_many(app: RunningApp, session: str, trips: Trips) -> None:
    async with open_stream(app.ws_url, session) as socket, aclosing(frames(socket)) as coming:
        async for frame, _ in coming:
            if frame["type"] == "session.started":
                break
        trips.session = session
        await socket.send(json.dumps({"type": "turn.request", "prompt": "Well?"}))
        await eventually(lambda: not trips.session)
    assert trips.sent == [SEEN, ASKED, TAKEN]


async def test_a_message_in_a_thread_asks_for_the_head_once(
    app: RunningApp, http: httpx.AsyncClient, trips: Trips
) -> None:
    thread = (await http.post("/v1/threads")).json()["id"]
    trips.session = thread
    body = {"thread_id": thread, "message": "Well?", "audio": "none"}
    async with http.stream("POST", "/v1/conversations/message/stream", json=body) as answer:
        assert answer.status_code == 200
        await eventually(lambda: not trips.session)
    assert trips.until_asked == [SEEN, ASKED]


async def test_a_message_by_a_threads_socket_asks_for_the_head_once(
    app: RunningApp, http: httpx.AsyncClient, trips: Trips
) -> None:
    thread = (await http.post("/v1/threads")).json()["id"]
    async with connect(f"{app.ws_url}/v1/threads/{thread}/stream") as socket:
        await socket.recv()
        trips.session = thread
        await socket.send(json.dumps({"type": "message", "message": "Well?"}))
        await eventually(lambda: not trips.session)
    assert trips.until_asked == [SEEN, ASKED]


async def test_a_scene_of_a_story_asks_for_the_head_once(
    app: RunningApp, http: httpx.AsyncClient, trips: Trips
) -> None:
    story = (await http.post("/api/stories", json={"title": "Tale"})).json()["id"]
    trips.session = story
    scene = await http.post(f"/api/stories/{story}/scenes?wait=false", json={})
    assert scene.status_code == 202, scene.text
    await eventually(lambda: not trips.session)
    assert trips.until_asked == [SEEN, ASKED]


async def test_a_response_of_the_realtime_face_asks_for_the_head_once(app: RunningApp, trips: Trips) -> None:
    async with client(app) as caller:
        await caller.update(output_modalities=["text"])
        trips.session = caller.session["id"].removeprefix("sess_")
        await caller.respond()
    assert trips.until_asked == [SEEN, ASKED]
