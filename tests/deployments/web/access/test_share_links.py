"""Share links: listening yes, everything else no, and nothing any more when they are revoked."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.apps import share_links
from pipeline.eventlog.recorder import Recorder
from schemas.events import SessionEndRequested, SessionRenamed
from schemas.ids import Seq, SessionId
from tests.deployments.web.access.test_resource_access import (
    ABOUT,
    HARMLESS,
    UPKEEP,
    WAYS,
    Way,
    answer_of,
    values,
)
from tests.support.clients.access_people import Belongings, People, client, said_by_socket, stream
from tests.support.clients.native_client import ask, create, frames
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

LISTENED = ("", "/events?follow=false", "/audio", "/captions.vtt", "/captions.srt", "/chapters.vtt")


async def share(app: RunningApp, key: str, session: str, **wish: Any) -> dict[str, Any]:
    async with client(app, key) as http:
        answer = await http.post(f"/v1/sessions/{session}/shares", json=wish)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def revoke(app: RunningApp, key: str, session: str, made: dict[str, Any]) -> int:
    async with client(app, key) as http:
        answer = await http.delete(f"/v1/sessions/{session}/shares/{made['share_id']}")
    return answer.status_code


async def listening(app: RunningApp, session: str, token: str) -> set[tuple[int, str]]:
    """How all the ways of listening end."""
    found = set()
    async with client(app, token) as http:
        for place in LISTENED:
            answer = await http.get(f"/v1/sessions/{session}{place}")
            fine = answer.status_code == 200
            found.add((answer.status_code, "" if fine else answer.json()["code"]))
    said, closed = await said_by_socket(app, stream(session, token=token))
    fine = closed in (None, 1000)  # what is over may have closed by itself already
    found.add((200 if fine else (closed or 0) - 4_000, said[0].get("code", "")))
    return found


async def test_the_label_of_a_link_is_not_told_to_its_listeners(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    await share(app, people.anna, hers.session, label="for nosy Carl")
    made = await share(app, people.anna, hers.session, label="for Bob")
    told = {}
    for credential in (people.anna, made["token"]):
        async with client(app, credential) as http:
            answer = await http.get(f"/v1/sessions/{hers.session}/events?follow=false")
            told[credential] = "nosy Carl" in answer.text
        said, _ = await said_by_socket(app, stream(hers.session, follow="false"), credential, frames=100)
        assert ("nosy Carl" in str(said)) is told[credential]
    assert told == {people.anna: True, made["token"]: False}


async def test_the_owner_s_pronunciations_are_not_told_to_those_who_listen(
    app: RunningApp, people: People
) -> None:
    async with client(app, people.anna) as http:
        settings = {"pronunciations": [{"word": "Szczepan", "respelling": "Shtepan"}]}
        session = await create(http, settings=settings)
        assert (await http.patch(f"/v1/sessions/{session}", json={"settings": settings})).status_code == 200
    made = await share(app, people.anna, session)
    for credential, told in ((people.anna, True), (made["token"], False)):
        async with client(app, credential) as http:
            for place in LISTENED[:2]:
                answer = await http.get(f"/v1/sessions/{session}{place}")
                assert answer.status_code == 200
                assert ("Szczepan" in answer.text) is told, place
        said, _ = await said_by_socket(app, stream(session, follow="false"), credential, frames=100)
        assert ("Szczepan" in str(said)) is told


async def test_the_link_lets_somebody_listen_and_read(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    made = await share(app, people.anna, hers.session, label="for Bob")
    query = parse_qs(urlsplit(made["url"]).query)
    assert query == {"session": [hers.session], "share": [made["token"]]}
    assert await listening(app, hers.session, made["token"]) == {(200, "")}
    async with client(app, people.anna) as http:
        listed = (await http.get(f"/v1/sessions/{hers.session}/shares")).json()["shares"]
    assert (made["share_id"], "for Bob", None) in [
        (each["share_id"], each["label"], each["expires_at"]) for each in listed
    ]
    assert made["token"] not in str(listed)


def test_addresses_are_encrypted_where_a_proxy_s_clients_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is on another machine, or in another container: uvicorn believes none of its headers."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    with running_app(scripted_settings(tmp_path)) as app, httpx.Client(base_url=app.url) as http:
        session = http.post("/v1/sessions", json={}).json()["session_id"]
        for secure, headers in (("s", {"X-Forwarded-Proto": "https"}), ("", {})):
            made = http.post(f"/v1/sessions/{session}/shares", json={}, headers=headers).json()
            assert made["url"].startswith(f"http{secure}://127.0.0.1:")
            told = http.post("/api/tts/generate", json={"text": "Hello."}, headers=headers).json()
            assert told["websocket_url"].startswith(f"ws{secure}://127.0.0.1:")


@pytest.mark.parametrize("way", [way for way in WAYS if way.method != "WS"], ids=str)
async def test_the_link_opens_nothing_else(
    app: RunningApp, people: People, hers: Belongings, way: Way
) -> None:
    places = ("", "/events", "/audio", "/captions.{kind}", "/chapters.vtt")
    listened = {f"/v1/sessions/{{session_id}}{place}" for place in places}
    if (way.method == "GET" and way.path in listened) or way.path in ("/web", "/", "/v1/health", "/v1/ready"):
        return
    if way.path in ("/openapi.json", "/docs", "/redoc"):
        return
    made = await share(app, people.anna, hers.session)
    token, named = made["token"], ABOUT & set(way.names)
    for path in values(way, hers) if named else [HARMLESS | UPKEEP]:
        status, words = await answer_of(app, token, way, path)
        if way.path == "/v1/tokens/renewal":  # where only a renewal says who somebody is
            assert status == 401
            continue
        assert status == (403 if path.get("session_id", hers.session) == hers.session else 404), words
    assert await revoke(app, people.anna, hers.session, made) == 204  # a session has room for 100 links


async def test_a_listener_s_commands_are_refused_and_it_goes_on_listening(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    token = (await share(app, people.anna, hers.session))["token"]
    said, closed = await said_by_socket(
        app,
        stream(hers.session, from_="head", token=token),
        messages=(
            '{"type": "turn.request", "prompt": "Hello", "ref": "a"}',
            '{"type": "control", "action": "stop", "ref": "b"}',
            '{"type": "ping", "ref": "c"}',
        ),
        frames=4,
    )
    answers = [(frame["type"], frame.get("code"), frame["ref"]) for frame in said if "ref" in frame]
    assert answers == [
        ("error", "auth.forbidden", "a"),
        ("error", "auth.forbidden", "b"),
        ("pong", None, "c"),
    ]
    assert closed is None


@pytest.mark.parametrize("path", ["/ws/tts/{narration}", "/ws/scene-generation/{scene}", "/ws/anna"])
async def test_sockets_that_take_commands_are_not_for_listeners(
    app: RunningApp, people: People, hers: Belongings, path: str
) -> None:
    token = (await share(app, people.anna, hers.narration))["token"]
    place = path.format(narration=hers.narration, scene=hers.scene)
    said, closed = await said_by_socket(app, place, token)
    assert closed in (4403, 4404), said


async def test_an_expired_link_is_worth_nothing(app: RunningApp, people: People, hers: Belongings) -> None:
    made = await share(app, people.anna, hers.session, expires_in=1)
    with anyio.fail_after(10):
        while (found := await listening(app, hers.session, made["token"])) != {(401, "auth.expired")}:
            assert all(each in ((200, ""), (401, "auth.expired")) for each in found)
    async with client(app, people.anna) as http:
        listed = (await http.get(f"/v1/sessions/{hers.session}/shares")).text
    assert made["share_id"] not in listed


async def test_a_revoked_link_is_worth_nothing_and_those_who_listen_are_let_go(
    app: RunningApp, people: People
) -> None:
    async with client(app, people.anna) as http:
        session = await create(http)
    made, other = [await share(app, people.anna, session) for _ in range(2)]
    paths = [stream(session, token=each["token"]) for each in (made, other)]
    async with connect(app.ws_url + paths[0]) as gone, connect(app.ws_url + paths[1]) as stays:
        await gone.recv()
        await stays.recv()
        assert await revoke(app, people.anna, session, made) == 204
        last = [event async for event, _ in frames(gone)][-1]
        assert (last["code"], gone.close_code) == ("auth.invalid", 4401)
        await stays.send('{"type": "ping", "ref": "still here"}')
        async for event, _ in frames(stays):
            if event["type"] == "pong":
                break
        assert stays.close_code is None
    assert await listening(app, session, made["token"]) == {(401, "auth.invalid")}
    assert await revoke(app, people.anna, session, made) == 404


async def test_a_replay_in_progress_ends_with_its_link(app: RunningApp, people: People) -> None:
    """It hears of the past, slowly: the event of the revocation is not on its way to it."""
    async with client(app, people.anna) as http:
        session = await create(http)
        made = await share(app, people.anna, session)
        await anyio.sleep(0.05)
        for title in range(3):
            await http.patch(f"/v1/sessions/{session}", json={"settings": {"max_tokens": 10 + title}})
    path = stream(session, token=made["token"], speed="0.001")
    async with connect(app.ws_url + path) as slow:
        await slow.recv()
        assert await revoke(app, people.anna, session, made) == 204
        with anyio.fail_after(10):
            last = [event async for event, _ in frames(slow)][-1]
    assert (last["code"], slow.close_code) == ("auth.invalid", 4401)


async def test_a_finished_session_can_be_shared_and_unshared_too(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    """A closed log takes no more events; a story that is finished is what one wants to share most."""
    async with client(app, people.anna) as http:
        session = await create(http, title="Over")
        before = await share(app, people.anna, session)
    await finish(app, session)
    after = await share(app, people.anna, session)
    for made in (before, after):
        assert await listening(app, session, made["token"]) == {(200, "")}
    for made in (before, after):
        assert await revoke(app, people.anna, session, made) == 204
        assert await listening(app, session, made["token"]) == {(401, "auth.invalid")}


async def finish(app: RunningApp, session: str) -> None:
    """End it as an idle session is ended."""
    services, name = app.services, SessionId(session)
    assert services is not None
    assert app.loop is not None

    async def end() -> None:
        async with Recorder(services.log) as recorder:
            await recorder.post(name, SessionEndRequested(reason="idle"))
        await services.sessions.attend(name)
        async with services.tailer.follow(name, Seq(0)) as batches:
            async for _ in batches:
                pass  # ends with the session

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(end(), app.loop))


async def test_a_member_s_question_does_not_keep_a_link_good_that_is_revoked(
    app: RunningApp, people: People
) -> None:
    async with client(app, people.anna) as hers, client(app, people.bob) as bob:
        thread = (await hers.post("/v1/threads", json={"title": "Anna's"})).json()["id"]
        assert (await hers.put(f"/v1/threads/{thread}/members", json={"user": "bob"})).status_code == 204
        made = await share(app, people.anna, thread)
        await ask(bob, thread, prompt="Hello?", key=f"unshare/{made['share_id']}")
    assert await revoke(app, people.anna, thread, made) == 204
    async with client(app, made["token"]) as guest:
        assert (await guest.get(f"/v1/sessions/{thread}")).status_code == 401


@pytest.mark.parametrize("closed", [False, True])
async def test_links_that_are_made_at_the_same_time_are_no_more_than_may_be(
    app: RunningApp, people: People, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    monkeypatch.setattr(share_links, "_AT_ONCE", 3)
    async with client(app, people.anna) as http:
        session = await create(http)
        if closed:
            await finish(app, session)
        answers = await asyncio.gather(*(http.post(f"/v1/sessions/{session}/shares") for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9


async def test_a_session_into_which_others_write_all_the_time_takes_no_link_and_no_member_for_now(
    app: RunningApp, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request gives up after some tries; its client may try again."""
    async with client(app, people.anna) as http:
        thread = (await http.post("/v1/threads", json={"title": "Busy"})).json()["id"]
        assert app.services is not None
        post = app.services.shares._recorder.post

        async def after_another(session: SessionId, *events: Any, **about: Any) -> Any:
            if "expected" in about:
                await post(session, SessionRenamed(title="Busier"))
            return await post(session, *events, **about)

        with monkeypatch.context() as patch:
            patch.setattr(app.services.shares._recorder, "post", after_another)
            answers = [
                await http.post(f"/v1/sessions/{thread}/shares", json={}),
                await http.put(f"/v1/threads/{thread}/members", json={"user": "carl"}),
            ]
        assert [(one.status_code, one.json()["code"]) for one in answers] == [(409, "log.conflict")] * 2
        await share(app, people.anna, thread)
