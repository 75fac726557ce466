"""A removed member gets nothing of the thread from then on, on any connection."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from itertools import count

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.clients.access_people import People, client, stream
from tests.support.clients.native_client import frames, sse
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@pytest.fixture
async def anna(app: RunningApp, people: People) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with client(app, people.anna) as http:
        yield http


async def thread_with_bob(anna: httpx.AsyncClient) -> str:
    thread: str = (await anna.post("/v1/threads", json={"title": "Ours"})).json()["id"]
    assert (await anna.put(f"/v1/threads/{thread}/members", json={"user": "bob"})).status_code == 204
    return thread


async def without_bob(anna: httpx.AsyncClient, thread: str) -> None:
    assert (await anna.delete(f"/v1/threads/{thread}/members/bob")).status_code == 204


async def test_a_removed_member_s_stream_of_events_ends(
    app: RunningApp, people: People, anna: httpx.AsyncClient
) -> None:
    thread = await thread_with_bob(anna)
    bearer = {"Authorization": f"Bearer {people.bob}"}
    path = app.ws_url + stream(thread)
    hers = {"Authorization": f"Bearer {people.anna}"}
    async with (
        connect(path, additional_headers=bearer) as gone,
        connect(path, additional_headers=hers) as own,
    ):
        await gone.recv()
        await without_bob(anna, thread)
        with anyio.fail_after(20):
            said = [event async for event, _ in frames(gone)]
        assert (said[-1]["code"], gone.close_code) == ("session.not_found", 4404)
        assert "member.removed" not in [event["type"] for event in said]
        async for event, _ in frames(own):
            if event["type"] == "member.removed":
                break
        assert own.close_code is None


async def test_a_removed_member_s_events_end(
    app: RunningApp, people: People, anna: httpx.AsyncClient
) -> None:
    thread = await thread_with_bob(anna)
    async with client(app, people.bob) as bob, aclosing(sse(bob, thread)) as events:
        assert (await anext(events))[0] == "hello"
        await without_bob(anna, thread)
        with anyio.fail_after(20):
            said = [(name, data) async for name, _, data in events]
    assert (said[-1][0], said[-1][1]["code"]) == ("error", "session.not_found")


async def test_a_removed_member_s_socket_ends_in_a_thread_where_something_happens_all_the_time(
    app: RunningApp, people: People, anna: httpx.AsyncClient
) -> None:
    thread = await thread_with_bob(anna)
    bearer = {"Authorization": f"Bearer {people.bob}"}
    path = f"{app.ws_url}/v1/threads/{thread}/stream"
    async with connect(path, additional_headers=bearer) as gone, anyio.create_task_group() as busy:
        await gone.recv()

        async def talk() -> None:
            for number in count():
                await anna.patch(f"/v1/threads/{thread}", json={"title": f"Ours, {number}"})

        busy.start_soon(talk)
        await without_bob(anna, thread)
        said = []
        with anyio.fail_after(20), suppress(ConnectionClosed):
            async for text in gone:
                said.append(json.loads(text))
        busy.cancel_scope.cancel()
    assert (said[-1]["code"], gone.close_code) == ("session.not_found", 4404)


async def test_a_removed_member_s_replay_ends(
    app: RunningApp, people: People, anna: httpx.AsyncClient
) -> None:
    """It hears of the past, slowly: the event of the removal is not on its way to it."""
    thread = await thread_with_bob(anna)
    await anyio.sleep(0.05)
    await anna.patch(f"/v1/threads/{thread}", json={"title": "Renamed"})
    bearer = {"Authorization": f"Bearer {people.bob}"}
    async with connect(app.ws_url + stream(thread, speed="0.001"), additional_headers=bearer) as slow:
        await slow.recv()
        await without_bob(anna, thread)
        with anyio.fail_after(20):
            said = [event async for event, _ in frames(slow)]
    assert (said[-1]["code"], slow.close_code) == ("session.not_found", 4404)
