"""How many may listen at the same time: a bound for each principal, and one for all."""

import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from deployments.web import json_lists
from deployments.web.connection_limiter import lasts
from tests.support.clients.access_people import People, client, said_by_socket, settings_at, stream
from tests.support.clients.native_client import ask, create, split_frame
from tests.support.clients.native_speaker import Caller
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[RunningApp, People]]:
    people = People.at(tmp_path)
    with running_app(settings_at(tmp_path, limits={"listeners": 3, "principal": {"listeners": 2}})) as app:
        yield app, people


async def seated(stay: AsyncExitStack, app: RunningApp, session: str, key: str) -> ClientConnection:
    """A listener that has heard `hello`, until `stay` ends."""
    bearer = {"Authorization": f"Bearer {key}"}
    socket = await stay.enter_async_context(connect(app.ws_url + stream(session), additional_headers=bearer))
    assert split_frame(await socket.recv())[0]["type"] == "hello"
    return socket


async def test_one_principal_takes_no_more_seats_than_it_may_and_leaves_the_others_theirs(
    crowded: tuple[RunningApp, People],
) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna, client(app, people.bob) as bob, AsyncExitStack() as stay:
        hers, his = await create(anna), await create(bob)
        for _ in range(2):
            await seated(stay, app, hers, people.anna)
        [refused], closed = await said_by_socket(app, stream(hers), people.anna)
        assert (refused["code"], refused["retryable"], closed) == ("limit.listeners", True, 1013)
        answer = await anna.get(f"/v1/sessions/{hers}/events")
        assert (answer.status_code, answer.json()["code"]) == (429, "limit.listeners")
        assert int(answer.headers["Retry-After"]) > 0
        await seated(stay, app, his, people.bob)
        answer = await bob.get(f"/v1/sessions/{his}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "gateway.busy")
        assert (await anna.get(f"/v1/sessions/{hers}")).status_code == httpx.codes.OK


async def test_guests_of_all_links_of_one_principal_take_no_more_seats_than_it_may(
    crowded: tuple[RunningApp, People],
) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna, AsyncExitStack() as stay:
        sessions = [await create(anna) for _ in range(3)]
        links = [(await anna.post(f"/v1/sessions/{one}/shares", json={})).json()["token"] for one in sessions]
        for session, link in zip(sessions[:2], links[:2], strict=True):
            await seated(stay, app, session, link)
        [refused], closed = await said_by_socket(app, stream(sessions[2]), links[2])
        assert (refused["code"], closed) == ("limit.listeners", 1013)
        await seated(stay, app, sessions[2], people.anna)


async def test_a_guest_of_what_is_gone_is_told_so(crowded: tuple[RunningApp, People]) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna:
        session = await create(anna)
        link = (await anna.post(f"/v1/sessions/{session}/shares", json={})).json()["token"]
        assert (await anna.delete(f"/v1/sessions/{session}")).status_code == httpx.codes.NO_CONTENT
    async with client(app, link) as guest:
        answer = await guest.get(f"/v1/sessions/{session}/events")
        assert (answer.status_code, answer.json()["code"]) == (410, "session.gone")


async def test_a_seat_is_free_again_when_its_listener_has_left(crowded: tuple[RunningApp, People]) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna:
        session, heard = await create(anna), 0
        with anyio.fail_after(20):
            while heard < 8:  # the server may hear of the one who left a moment after the next one came
                [word], _ = await said_by_socket(app, stream(session), people.anna)
                assert word["type"] == "hello" or word["code"] == "limit.listeners"
                heard += word["type"] == "hello"


async def test_microphones_of_one_principal_leave_a_quarter_of_the_places_to_the_others(
    tmp_path: Path,
) -> None:
    people = People.at(tmp_path)

    async def heard(stay: AsyncExitStack, app: RunningApp, session: str, key: str) -> str:
        """The answer to a microphone that stays open until `stay` ends: its type, or its code."""
        socket = await seated(stay, app, session, key)
        answer = await Caller(socket).answered(type="input.open")
        return str(answer.get("code", answer["type"]))

    with running_app(settings_at(tmp_path, limits={"inputs": 4})) as app:
        async with client(app, people.anna) as anna, client(app, people.bob) as bob, AsyncExitStack() as stay:
            hers, his = await create(anna), await create(bob)
            answers = [await heard(stay, app, hers, people.anna) for _ in range(4)]
            assert answers == [*["input.ready"] * 3, "limit.listeners"]
            assert await heard(stay, app, his, people.bob) == "input.ready"
            assert await heard(stay, app, his, people.bob) == "gateway.busy"


STREAMS = [
    ("/v1/conversations/message/stream", {"thread_id": "x", "content": "Hello"}),
    ("/api/v1/conversations/message/stream", {"thread_id": "x", "content": "Hello"}),
    ("/sse/mine/stream", {"content": "Hello"}),
    ("/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}),
    ("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello."}),
    ("/v1/audio/transcriptions", {}),
    ("/v1/collections/x/documents", {}),
    ("/v1/embeddings", {"model": "local", "input": "Hello."}),
    ("/v1/responses/resp_1/cancel", {}),
    ("/v1/sessions/import", {}),
    ("/v1/sessions/x/recordings", {}),
    ("/v1/sessions/x/comparisons", {}),
    ("/api/stories/x/scenes", {"content": "Once."}),
    ("/api/voice", {}),
]


async def test_a_client_that_is_answered_by_a_stream_or_after_a_while_is_counted(
    crowded: tuple[RunningApp, People],
) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna, AsyncExitStack() as stay:
        session = await create(anna)
        for _ in range(2):
            await seated(stay, app, session, people.anna)
        for path, wish in STREAMS:
            refused = await anna.post(path, json=wish)
            assert refused.status_code == 429, path
            assert int(refused.headers["Retry-After"]) > 0
        assert (await anna.delete("/v1/users/anna")).status_code == 429
        for path in ("/api/tts/audio/x/chunk/0", "/api/tts/voices/fox/preview"):
            assert (await anna.get(path)).status_code == 429, path
        assert (await anna.get("/v1/models")).status_code == httpx.codes.OK


async def test_an_answer_as_long_as_a_session_has_a_seat(
    crowded: tuple[RunningApp, People], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "_PIECE_BYTES", 1)
    app, people = crowded
    async with client(app, people.anna) as anna, AsyncExitStack() as stay:
        session, empty = await create(anna), await create(anna)
        await ask(anna, session, prompt="Hello", settings={"speak": False})
        assert len((await anna.get(f"/v1/sessions/{session}")).json()["turns"]) == 1
        for _ in range(2):
            await seated(stay, app, session, people.anna)
        refused = await anna.get(f"/v1/sessions/{session}")
        assert (refused.status_code, refused.json()["code"]) == (429, "limit.listeners")
        assert (await anna.get(f"/v1/sessions/{empty}")).status_code == httpx.codes.OK


async def test_a_change_whose_answer_may_be_long_is_not_made_without_a_seat(
    crowded: tuple[RunningApp, People],
) -> None:
    app, people = crowded
    async with client(app, people.anna) as anna, AsyncExitStack() as stay:
        session = await create(anna)
        thread = (await anna.post("/v1/threads", json={"title": "Salt"})).json()["id"]
        for _ in range(2):
            await seated(stay, app, session, people.anna)
        refused = await anna.patch(f"/v1/threads/{thread}", json={"title": "Pepper"})
        assert (refused.status_code, refused.json()["code"]) == (429, "limit.listeners")
        assert (await anna.get(f"/v1/threads/{thread}")).json()["title"] == "Salt"


async def test_a_streamed_completion_leaves_its_seat_when_it_is_over(
    crowded: tuple[RunningApp, People],
) -> None:
    app, people = crowded
    wish = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with client(app, people.anna) as anna:
        for _ in range(4):
            assert (await anna.post("/v1/chat/completions", json=wish)).status_code == httpx.codes.OK


def test_every_answer_that_may_be_a_stream_takes_a_seat() -> None:
    paths = json.loads(Path("docs/openapi.json").read_text(encoding="utf-8"))["paths"]
    streams = [
        (path, method.upper())
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    ]
    assert ("/v1/messages", "POST") in streams
    for path, method in streams:
        scope = {"type": "http", "method": method, "path": re.sub(r"{\w+}", "a", path), "query_string": b""}
        assert lasts(scope), (method, path)
