"""Every route of the application, tried by Bob on what is Anna's: it is not there for him."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from fastapi.routing import iter_route_contexts
from starlette.requests import HTTPConnection

from cluster.documents import never_started
from deployments.asgi_app import create_app
from deployments.faces.anthropic import message_routes
from deployments.web.auth_middleware import PUBLIC
from deployments.web.body_limits import SIGNED
from deployments.web.error_shapes.openai_problems import PATHS
from deployments.web.resource_access import PRINCIPAL, guard
from pipeline.auth.principals import Principal
from schemas.errors.access_errors import Forbidden
from schemas.ids import new_session_id
from tests.support.clients.access_people import ADMIN, Belongings, People, client, said_by_socket
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Way:
    """One method of one route."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)

    def to(self, **values: str) -> str:
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: values[found[1]], self.path)


def ways() -> Iterator[Way]:
    app = create_app(never_started, body_bytes=1_000)
    for route in iter_route_contexts(app.routes):
        methods = getattr(route, "methods", None) or {
            "WS" if "WebSocket" in type(route.route).__name__ else ""
        }
        for method in sorted(methods - {"HEAD"}):
            yield Way(method, str(route.path))


WAYS = list(ways())
SIGNED_WAYS = [way for way in WAYS if way.path.startswith(SIGNED)]
"""Their senders show a signature instead of a credential."""
PUBLIC_WAYS = [way for way in WAYS if way.path in PUBLIC or way.path == "/web"]
"""Below /web are the page's own files."""
OTHERS = [way for way in WAYS if way not in PUBLIC_WAYS + SIGNED_WAYS]
ABOUT = {
    *("session_id", "story_id", "scene_id", "user_id"),
    *("thread_id", "character_id", "collection_id", "response_id", "call_id"),
}
"""Parameters that name somebody's things."""
NAMED = [way for way in OTHERS if ABOUT & set(way.names)]
UNNAMED = [way for way in OTHERS if way not in NAMED]
HARMLESS = {
    "kind": "vtt",
    "share": "0123456789abcdef",
    "number": "1",
    "voice": "joe",
    "member": "carl",
    "chat_id": "c-1",
    "stream": "reports/july",
    "model": "tts-1",
    "provider": "twilio",
    "document_id": "019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e12",
}
UPKEEP = {"letter": "0.1-1", "projection": "directory", "gateway": "1.abc"}
FOR_ADMINS = [
    way
    for way in OTHERS
    if set(UPKEEP) & set(way.names)
    or way.path in ("/metrics", "/v1/workers", "/v1/dead-letters", "/v1/gateways")
]
"""What is nobody's own: the upkeep of the server."""


def values(way: Way, hers: Belongings) -> Iterator[dict[str, str]]:
    """The path's parameters, with each of her things where it might belong."""
    sessions = (
        *(hers.session, hers.story, hers.narration, hers.user, hers.scene),
        *(hers.thread, hers.collection),
    )
    places = {
        "session_id": sessions,
        "story_id": (hers.story, hers.session),
        "scene_id": (hers.scene, hers.narration, hers.story),
        "user_id": ("anna", hers.user),
        "thread_id": (hers.thread, hers.session),
        "character_id": (hers.character,),
        "collection_id": (hers.collection, hers.session),
        "response_id": (f"resp_{hers.session}_2",),
        "call_id": (f"rtc_{hers.session}_{'0' * 16}",),
    }
    [name] = [name for name in way.names if name in places]
    for value in places[name]:
        yield {**HARMLESS, "document_id": hers.document, name: value}


def missing(path: dict[str, str]) -> dict[str, str]:
    """The same shape, of things that never were."""
    replaced = dict(path)
    for name in ABOUT - {"user_id", "response_id", "call_id"}:
        if name in replaced:
            _, dot, rest = replaced[name].partition(".")
            replaced[name] = new_session_id() + dot + rest
    if "user_id" in replaced:
        replaced["user_id"] = "nobody"
    if "response_id" in replaced:
        replaced["response_id"] = f"resp_{new_session_id()}_2"
    if "call_id" in replaced:
        replaced["call_id"] = f"rtc_{new_session_id()}_{'0' * 16}"
    return replaced


async def answer_of(app: RunningApp, credential: str | None, way: Way, path: dict[str, str]) -> Any:
    """Status or close code, and the words, with the ids taken out."""
    if way.method == "WS":
        said, code = await said_by_socket(app, way.to(**path), credential)
        status, words = code, json.dumps(said)
    else:
        async with client(app, credential) as http:
            answer = await http.request(way.method, way.to(**path), json=body_for(way))
        status, words = answer.status_code, answer.text
    for value in path.values():
        if value not in HARMLESS.values():
            words = words.replace(value, "…")
    return status, words


def body_for(way: Way) -> dict[str, Any] | None:
    """A body that the route would take."""
    if way.path.endswith("/members"):
        return {"user": "bob"}
    if "/threads/" in way.path and way.method == "PATCH":
        return {"title": "Mine now"}
    if "/characters/" in way.path and way.method == "PATCH":
        return {"name": "Mine now"}
    if way.path.endswith("/turns"):
        return {"prompt": "Now me"}
    if "/scenes" in way.path:
        return {"custom_prompt": "Now me"}
    if way.path.endswith("/control"):
        return {"action": "stop"}
    if way.path.endswith("/search"):
        return {"question": "a secret"}
    if way.path.startswith("/v1/collections") and way.method in ("POST", "PATCH"):
        return {"name": "Now mine"}
    if way.method == "PATCH":
        return {"settings": {"speak": False}}
    return {} if way.method in ("POST", "PUT") else None


def test_the_walk_sees_every_route_and_knows_what_its_path_is_about() -> None:
    assert {"GET", "POST", "PATCH", "DELETE", "PUT", "WS"} <= {way.method for way in WAYS}
    assert len(NAMED) > 20
    known = {*ABOUT, *HARMLESS, *UPKEEP}
    unknown = {name for way in OTHERS for name in way.names} - known
    assert not unknown, "tell deployments/web/resource_access.py and this test whose these are"


@pytest.mark.parametrize("way", NAMED, ids=str)
async def test_a_resource_of_somebody_else_is_not_there(
    app: RunningApp, people: People, hers: Belongings, way: Way
) -> None:
    for path in values(way, hers):
        refused = await answer_of(app, people.bob, way, path)
        assert refused[0] in (404, 4404), refused
        assert refused == await answer_of(app, people.bob, way, missing(path))
        assert "secret" not in refused[1]


@pytest.mark.parametrize("way", OTHERS, ids=str)
async def test_no_client_gets_in_without_a_credential(app: RunningApp, hers: Belongings, way: Way) -> None:
    path = next(values(way, hers)) if way in NAMED else HARMLESS | UPKEEP
    status, words = await answer_of(app, None, way, path)
    assert status in (401, 4401)
    code = "missing_api_key" if PATHS.fullmatch(way.path) else "auth.required"
    assert ("authentication_error" if way.path == message_routes.PATH else code) in words


@pytest.mark.parametrize("way", FOR_ADMINS, ids=str)
async def test_upkeep_is_for_administrators(app: RunningApp, people: People, way: Way) -> None:
    status, words = await answer_of(app, people.bob, way, UPKEEP)
    assert (status, "auth.forbidden" in words) == (403, True)


@pytest.mark.parametrize("way", UNNAMED, ids=str)
async def test_a_route_about_nobody_in_particular_tells_nothing_of_others(
    app: RunningApp, people: People, hers: Belongings, way: Way
) -> None:
    if way.method != "GET":
        return
    _, words = await answer_of(app, people.bob, way, HARMLESS | UPKEEP)
    assert not any(ident in words for ident in hers.all)
    assert '"auto_play_last_scene":true' not in words


@pytest.mark.parametrize("way", PUBLIC_WAYS, ids=str)
async def test_a_public_answer_needs_no_credential_and_holds_nothing_of_anybody(
    app: RunningApp, hers: Belongings, way: Way
) -> None:
    async with client(app) as http:
        answer = await http.get("/web/app.js" if way.path == "/web" else way.path)
    assert answer.status_code == 200
    assert not any(ident in answer.text for ident in hers.all)


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
@pytest.mark.parametrize("way", SIGNED_WAYS, ids=str)
async def test_a_signed_route_takes_no_credential_in_place_of_a_signature(
    app: RunningApp, people: People, way: Way, provider: str
) -> None:
    status, words = await answer_of(app, people.root, way, {"provider": provider})
    assert status == (4403 if way.method == "WS" else 403)
    assert way.method == "WS" or "auth.forbidden" in words


async def test_afterwards_everything_of_hers_is_as_it_was(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    async with client(app, people.anna) as http:
        view = (await http.get(f"/v1/sessions/{hers.session}")).json()
        assert [turn["status"] for turn in view["turns"]] == ["completed"]
        assert view["settings"]["speak"] is True
        story = (await http.get(f"/api/stories/{hers.story}")).json()
        assert len(story["scenes"]) == 1
        assert '"auto_play_last_scene":true' in (await http.get("/api/tts/settings")).text
        assert (await http.get(f"/v1/collections/{hers.collection}")).json()["name"] == "Anna's secret"
        [document] = (await http.get(f"/v1/collections/{hers.collection}/documents")).json()["documents"]
        assert (document["id"], document["state"]) == (hers.document, "ready")


async def test_an_administrator_reads_everything_and_commands_only_what_is_theirs(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    async with client(app, people.root) as http:
        assert (await http.get(f"/v1/sessions/{hers.session}")).status_code == 200
        assert (await http.get(f"/api/stories/{hers.story}")).status_code == 200
        refused = await http.post(f"/v1/sessions/{hers.session}/turns", json={"prompt": "Hello"})
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
    said, _ = await said_by_socket(
        app,
        f"/v1/sessions/{hers.session}/stream?from=head",
        people.root,
        messages=('{"type": "turn.request", "prompt": "Hello", "ref": "x"}',),
        frames=2,
    )
    assert [frame["type"] for frame in said] == ["hello", "error"]
    assert (said[1]["code"], said[1]["ref"]) == ("auth.forbidden", "x")


async def test_an_administrator_reads_a_thread_and_does_not_write_in_it(
    app: RunningApp, people: People
) -> None:
    async with client(app, people.anna) as hers, client(app, people.root) as root:
        thread = (await hers.post("/v1/threads", json={"title": "Anna's"})).json()["id"]
        path = f"/v1/threads/{thread}"
        question = {"thread_id": thread, "message": "root was here"}
        for method, place, body in (
            ("POST", "/v1/conversations/message/stream", question),
            ("PATCH", path, {"title": "renamed by root"}),
            ("PUT", f"{path}/members", {"user": "bob"}),
            ("DELETE", f"{path}/members/bob", None),
        ):
            refused = await root.request(method, place, json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden"), (method, place)
        said, _ = await said_by_socket(
            app,
            f"{path}/stream",
            people.root,
            messages=('{"type": "message", "message": "root was here"}',),
            frames=2,
            stays=True,
        )
        assert {frame["type"]: frame.get("code") for frame in said} == {
            "connected": None,
            "error": "auth.forbidden",
        }
        seen = (await root.get(path)).json()
        assert (seen["title"], seen["members"], seen["messages"]) == ("Anna's", [], [])
        assert (await root.delete(path)).status_code == 204
        assert (await hers.get(path)).status_code in (404, 410)


async def test_a_member_does_not_see_with_whom_else_a_thread_is_shared(
    app: RunningApp, people: People
) -> None:
    async with client(app, people.anna) as hers, client(app, people.bob) as bob:
        thread = (await hers.post("/v1/threads", json={"title": "Anna's"})).json()["id"]
        assert (await hers.put(f"/v1/threads/{thread}/members", json={"user": "bob"})).status_code == 204
        place = f"/v1/sessions/{thread}"
        assert (await hers.post(f"{place}/shares", json={"label": "for my doctor"})).status_code == 201
        assert (await bob.get(f"{place}/shares")).status_code == 404
        reads = f"{place}/events?follow=false"
        assert "for my doctor" in (await hers.get(reads)).text
        told = await bob.get(reads)
        assert '"share.created"' in told.text
        assert "for my doctor" not in told.text
        for http, labels in ((hers, True), (bob, False)):
            bundle = ZipFile(BytesIO((await http.get(f"{place}/export")).content))
            lines = bundle.read("events.jsonl")
            assert (b"for my doctor" in lines, b"share.created" in lines) == (labels, True)


async def test_her_own_are_there_for_her(app: RunningApp, people: People, hers: Belongings) -> None:
    async with client(app, people.anna) as http:
        reads = (
            f"/v1/sessions/{hers.session}",
            f"/v1/sessions/{hers.session}/events?follow=false",
            f"/v1/sessions/{hers.session}/audio",
            f"/api/stories/{hers.story}",
            f"/v1/sessions/{hers.narration}",
            f"/v1/sessions/{hers.collection}/events?follow=false",
            f"/v1/collections/{hers.collection}/documents/{hers.document}/text",
        )
        for path in reads:
            assert (await http.get(path)).status_code == 200, path
    said, code = await said_by_socket(app, "/ws/anna", people.anna)
    assert (said[0]["type"], code) == ("connected", None)


async def test_a_route_that_nobody_thought_of_is_for_administrators() -> None:
    def asking(caller: Principal) -> HTTPConnection:
        return HTTPConnection({"type": "http", "path_params": {"parcel": "7"}, PRINCIPAL: caller})

    with pytest.raises(Forbidden):
        await guard(asking(Principal("bob")))
    await guard(asking(Principal("root", ADMIN)))


def test_the_description_says_which_routes_ask_who_one_is() -> None:
    document = create_app(never_started, body_bytes=1_000).openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "token"}
    assert document["security"] == [{"bearer": []}, {"token": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert (operation.get("security") == []) is (path in PUBLIC or path.startswith(SIGNED))
