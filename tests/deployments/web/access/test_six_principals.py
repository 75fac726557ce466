"""Every route of the application, tried by those who have something of Anna's, or of her.

They are the guest of a share link, the member of a thread, and a second key of her own. A stranger and one
without a key are in the tests of resource access. Ids of hers are tried in bodies and headers, too.
"""

import json
from dataclasses import asdict
from typing import Any, NamedTuple

import anyio
import pytest

from deployments.web.resource_access import LISTENING
from tests.deployments.web.access.test_resource_access import (
    HARMLESS,
    NAMED,
    OTHERS,
    UPKEEP,
    Way,
    answer_of,
    missing,
    values,
)
from tests.support.clients.access_people import Belongings, Circle, People, client, said_by_socket
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
_REFUSED = (401, 403, 404, 405, 4401, 4403, 4404)
_ABSENT = (403, 404, 4403, 4404)
_MEMBERS_DO = ("/turns", "/control")


class Shared(NamedTuple):
    """A link to Anna's session; her thread has Dora as a member."""

    link: str
    hers: Belongings


@pytest.fixture(scope="module")
def shared(app: RunningApp, people: People, hers: Belongings, circle: Circle) -> Shared:
    async def share() -> str:
        async with client(app, people.anna) as http:
            members = f"/v1/threads/{hers.thread}/members"
            assert (await http.put(members, json={"user": "dora"})).status_code == 204
            link = await http.post(f"/v1/sessions/{hers.session}/shares", json={"label": "for a guest"})
            return str(link.json()["token"])

    return Shared(anyio.run(share), hers)


def paths(way: Way, hers: Belongings) -> list[dict[str, str]]:
    return list(values(way, hers)) if way in NAMED else [HARMLESS | UPKEEP]


@pytest.mark.parametrize("way", OTHERS, ids=str)
async def test_a_guest_listens_to_the_one_session_of_the_link_and_does_nothing_else(
    app: RunningApp, shared: Shared, way: Way
) -> None:
    for path in paths(way, shared.hers):
        place = way.to(**path).removeprefix(f"/v1/sessions/{shared.hers.session}")
        if place in LISTENING and way.method in ("GET", "WS"):
            continue  # tests of share links listen
        status, words = await answer_of(app, shared.link, way, path)
        assert status in _REFUSED, (path, words[:200])
        assert "secret" not in words


@pytest.mark.parametrize("way", NAMED, ids=str)
async def test_a_member_of_a_thread_has_that_thread_and_nothing_else_of_its_owner(
    app: RunningApp, shared: Shared, circle: Circle, way: Way
) -> None:
    for path in values(way, shared.hers):
        of_thread = shared.hers.thread in path.values()
        reads = way.method in ("GET", "WS") and not way.path.endswith("/shares")
        if of_thread and (reads or way.path.endswith(_MEMBERS_DO)):
            continue  # members read, ask and stop
        answer = await answer_of(app, circle.dora, way, path)
        assert answer[0] in _ABSENT, (path, answer[1][:200])
        if not of_thread:
            assert answer == await answer_of(app, circle.dora, way, missing(path))
        assert "secret" not in answer[1]


@pytest.mark.parametrize("way", [way for way in NAMED if way.method == "GET"], ids=str)
async def test_another_key_of_the_same_person_opens_what_the_first_one_does(
    app: RunningApp, people: People, circle: Circle, hers: Belongings, way: Way
) -> None:
    if way.path.endswith(("/events", "/export")) or "durable" in way.path:
        return  # last, or say when they were made
    for path in values(way, hers):
        first, second = [await answer_of(app, key, way, path) for key in (people.anna, circle.second)]
        assert first[0] == second[0], (first, second)


def tool(name: str, **arguments: str) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


HI = {"model": "gpt-4o", "input": "Hi"}
REFERENCE = {"model": "gpt-4o", "input": [{"type": "item_reference", "id": "msg_{session}_{turn}"}]}
SAID = [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
KNOWS = {"settings": {"collections": ["{collection}"]}}
STREAM = "/v1/conversations/message/stream"
FORK = {"Stream-Forked-From": "/v1/durable/sessions/{session}"}
MCP = {"Accept": "application/json, text/event-stream"}
IDS: dict[str, tuple[str, Any, dict[str, str], int, str]] = {
    "previous response": (
        *("POST /v1/responses", HI | {"previous_response_id": "resp_{session}_{turn}"}, {}),
        *(400, "previous_response_not_found"),
    ),
    "item": ("POST /v1/responses", REFERENCE, {}, 400, "not found"),
    "session as a thread": (
        f"POST {STREAM}",
        {"thread_id": "{session}", "message": "Hi"},
        {},
        404,
        "not_found",
    ),
    "story as a thread": (f"POST {STREAM}", {"thread_id": "{story}", "message": "Hi"}, {}, 404, "not_found"),
    "character": ("POST /v1/threads", {"character": "{character}"}, {}, 404, "character.not_found"),
    "what a thread knows": ("POST /v1/threads", KNOWS, {}, 404, "collection.not_found"),
    "what a session knows": ("POST /v1/sessions", KNOWS, {}, 404, "collection.not_found"),
    "what a chat knows": (
        *("POST /v1/ui/chat", {"id": "mine", "messages": SAID, **KNOWS}, {}),
        *(404, "collection.not_found"),
    ),
    "chat": ("GET /v1/ui/chat/{session}", None, {}, 404, "session.not_found"),
    "answer of a chat": ("GET /v1/ui/chat/{session}/stream", None, {}, 204, ""),
    "stop of a chat": ("POST /v1/ui/chat/{session}/stop", None, {}, 404, "session.not_found"),
    "source of a fork": ("PUT /v1/durable/mine", [], FORK, 404, "stream.not_found"),
    "stream": ("GET /v1/durable/{session}", None, {}, 404, "stream.not_found"),
    "session that a tool reads": (
        *("POST /v1/mcp", tool("read_session", session_id="{session}"), MCP),
        *(200, "session.not_found"),
    ),
    "collection that a tool reads": (
        *("POST /v1/mcp", tool("read_session", session_id="{collection}"), MCP),
        *(200, "session.not_found"),
    ),
    "session that a tool asks in": (
        *("POST /v1/mcp", tool("ask", session_id="{session}", question="Hi"), MCP),
        *(200, "session.not_found"),
    ),
}


@pytest.mark.parametrize("about", IDS)
async def test_an_id_in_a_body_a_query_or_a_header_opens_nothing(
    app: RunningApp, people: People, shared: Shared, circle: Circle, about: str
) -> None:
    way, body, headers, status, word = IDS[about]

    def named(text: str) -> str:
        for name, value in asdict(shared.hers).items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    method, address = named(way).split()
    sent = None if body is None else named(json.dumps(body)).encode()
    for key in (people.bob, circle.dora):
        kind = {"Content-Type": "application/json"} | {name: named(value) for name, value in headers.items()}
        async with client(app, key, **kind) as http:
            answer = await http.request(method, address, content=sent)
        assert (answer.status_code, word in answer.text) == (status, True), answer.text
        assert "secret" not in answer.text


@pytest.mark.parametrize("query", ["session_id={session}", "call_id=rtc_{session}_00000000"])
async def test_a_realtime_socket_opens_no_session_of_somebody_else(
    app: RunningApp, people: People, shared: Shared, circle: Circle, query: str
) -> None:
    for key in (people.bob, circle.dora, shared.link):
        said, code = await said_by_socket(
            app, f"/v1/realtime?{query.format(session=shared.hers.session)}", key
        )
        assert code is not None, said
        assert "session.created" not in json.dumps(said)
