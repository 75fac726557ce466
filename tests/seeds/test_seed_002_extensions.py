"""The possible extensions of seed 002: sound, sockets, several people, pause and resume."""

import base64
import json
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection

from pipeline.eventlog.tiered_log import TieredLog
from tests.seeds.conftest import SLOW, STORY
from tests.seeds.people import Person, milliseconds, nothing_left_to_do, until
from tests.seeds.test_seed_002_threads import listed
from tests.support.clients.event_source import STREAM, asking, thread_of

pytestmark = pytest.mark.anyio


async def test_the_answer_is_heard_as_well(person: Person) -> None:
    got = await asking(person, await thread_of(person), audio="mp3").read()
    sentences = [message for message in got.messages if message["type"] == "audio"]
    assert "".join(sentence["text"] for sentence in sentences).replace(" ", "") == STORY.replace(" ", "")
    at = 0
    for sentence in sentences:
        assert sentence["start_ms"] == at
        at = sentence["end_ms"]
        sound = base64.b64decode(sentence["audio"], validate=True)
        assert milliseconds(sound) >= sentence["end_ms"] - sentence["start_ms"]
    assert got.messages[-1]["type"] == "done"


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def told(socket: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    """Messages up to the first of one of these types."""
    got: list[dict[str, Any]] = []
    with anyio.fail_after(60):
        while not got or got[-1]["type"] not in kinds:
            got.append(json.loads(await socket.recv()))
    return got


async def test_several_people_are_in_one_thread_and_hear_the_same(person: Person, other: Person) -> None:
    thread = await thread_of(person)
    path = f"/v1/threads/{thread}"
    assert (await other.http.get(path)).status_code == 404
    await person.http.put(f"{path}/members", json={"user": other.name})
    async with person.socket(f"{path}/stream?audio=mp3") as mine, other.socket(f"{path}/stream") as theirs:
        await told(mine, "connected")
        await told(theirs, "connected")
        await say(theirs, type="message", message="May I come in?", ref="r1")
        heard = [await told(socket, "done") for socket in (mine, theirs)]
    for got in heard:
        [question] = [m for m in got if m["type"] == "message"]
        assert (question["content"], question["user"]) == ("May I come in?", other.name)
        assert "".join(m["content"] for m in got if m["type"] == "chunk") == STORY
        assert got[-1]["content"] == STORY
    assert [m["ref"] for m in heard[1] if m["type"] == "accepted"] == ["r1"]
    messages = (await person.http.get(path)).json()["messages"]
    assert messages[0]["user"] == other.name


@pytest.mark.parametrize(("wish", "sounds"), [({}, True), ({"audio": "none"}, False)])
async def test_a_question_on_a_socket_with_sound_is_answered_with_sound(
    person: Person, wish: dict[str, str], sounds: bool
) -> None:
    thread = await thread_of(person)
    async with person.socket(f"/v1/threads/{thread}/stream?audio=mp3") as socket:
        await told(socket, "connected")
        await say(socket, type="message", message="May I come in?", **wish)
        got = await told(socket, "done")
    heard = [message for message in got if message["type"] == "audio"]
    assert bool(heard) is sounds
    assert all(milliseconds(base64.b64decode(message["audio"])) for message in heard)


async def test_a_member_asks_and_does_not_own(person: Person, other: Person) -> None:
    thread = await thread_of(person)
    path = f"/v1/threads/{thread}"
    await person.http.put(f"{path}/members", json={"user": other.name})
    assert (await asking(other, thread).read()).text == STORY
    assert (await other.http.get(f"/v1/sessions/{thread}")).status_code == 200
    turn = await other.http.post(f"/v1/sessions/{thread}/turns", json={"prompt": "And?"})
    assert turn.status_code == 202
    refusals = [
        await other.http.patch(path, json={"title": "Mine"}),
        await other.http.delete(path),
        await other.http.put(f"{path}/members", json={"user": "carl"}),
        await other.http.delete(f"/v1/sessions/{thread}"),
        await other.http.patch(f"/v1/sessions/{thread}", json={"settings": {}}),
    ]
    assert {answer.status_code for answer in refusals} <= {403, 404}

    async def in_both_lists() -> bool:
        return [await listed(one) for one in (person, other)] == [["Who are you?"]] * 2

    await until(in_both_lists)
    await person.http.delete(f"{path}/members/{other.name}")
    assert (await other.http.get(path)).status_code == 404
    assert (await other.http.post(STREAM, json={"thread_id": thread, "message": "?"})).status_code == 404

    async def in_mine_only() -> bool:
        return await listed(other) == []

    await until(in_mine_only)


async def test_a_member_does_not_reach_for_what_else_the_owner_has(person: Person, other: Person) -> None:
    shelf = (await person.http.post("/v1/collections", json={"name": "Private"})).json()["id"]
    thread = await thread_of(person)
    await person.http.put(f"/v1/threads/{thread}/members", json={"user": other.name})
    for wish in ({"collections": [shelf]}, {"system_prompt": "Tell all."}, {"max_tokens": 4_000}):
        turn = {"prompt": "Well?", "settings": wish}
        refused = await other.http.post(f"/v1/sessions/{thread}/turns", json=turn)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
        assert refused.json()["field"] == f"settings.{next(iter(wish))}"
    body = {"thread_id": thread, "message": "Well?", "collections": [shelf]}
    assert (await other.http.post(STREAM, json=body)).status_code == 403
    assert (await asking(other, thread, search_tool_config={"strategy": "keyword"}).read()).text == STORY


async def test_a_member_replaces_only_what_is_theirs_and_last(person: Person, other: Person) -> None:
    thread = await thread_of(person)
    await person.http.put(f"/v1/threads/{thread}/members", json={"user": other.name})

    async def asks(who: Person, replaces: int | None = None) -> tuple[int, int]:
        body = {"thread_id": thread, "message": "Well?", "replaces": replaces}
        answer = await who.http.post(STREAM, json=body)
        messages = (await person.http.get(f"/v1/threads/{thread}")).json()["messages"]
        return answer.status_code, messages[-1]["turn"]

    _, of_owner = await asks(person)
    assert await asks(other, of_owner) == (403, of_owner)
    _, of_member = await asks(other)
    status, again = await asks(other, of_member)
    assert (status, again > of_member) == (200, True)
    _, last = await asks(person)
    assert await asks(other, again) == (403, last)
    assert (await asks(person, of_owner))[0] == 200


async def test_a_member_who_is_removed_while_an_answer_is_written_does_not_get_the_rest(
    person: Person, other: Person
) -> None:
    thread = await thread_of(person)
    await person.http.put(f"/v1/threads/{thread}/members", json={"user": other.name})
    asked = asking(other, thread, "slowly")
    async with person.socket(f"/v1/threads/{thread}/stream") as socket, anyio.create_task_group() as reading:
        await told(socket, "connected")
        reading.start_soon(asked.read)
        await told(socket, "chunk")
        await person.http.delete(f"/v1/threads/{thread}/members/{other.name}")
    assert asked.messages[-1]["code"] == "session.not_found"
    assert len(asked.text) < len(SLOW)


@pytest.mark.parametrize("way", ["fork", "import"])
async def test_a_member_of_a_thread_takes_no_part_in_its_copy(
    person: Person, other: Person, log: TieredLog, way: str
) -> None:
    thread = await thread_of(person, title="The lamp")
    await person.http.put(f"/v1/threads/{thread}/members", json={"user": other.name})
    before = await person.events(thread)
    if way == "fork":
        made = await person.http.post(f"/v1/sessions/{thread}/fork", json={"title": "The lamp"})
    else:
        bundle = (await person.http.get(f"/v1/sessions/{thread}/export")).content
        made = await person.http.post("/v1/sessions/import", content=bundle)
    assert made.status_code == 201, made.text
    copy = made.json()["session_id"]
    after = await person.events(copy)
    assert [(event["seq"], event["type"]) for event in after] == [
        (event["seq"], event["type"]) for event in before
    ]
    assert (await person.http.get(f"/v1/threads/{copy}")).json()["members"] == []
    assert (await other.http.get(f"/v1/threads/{copy}")).status_code == 404
    assert (await other.http.get(f"/v1/sessions/{copy}")).status_code == 404
    await nothing_left_to_do(log)
    assert [await listed(one) for one in (person, other)] == [["The lamp"] * 2, ["The lamp"]]


async def test_a_continuation_names_its_answer_and_has_no_question(person: Person) -> None:
    thread = await thread_of(person)
    async with person.socket(f"/v1/threads/{thread}/stream") as socket:
        await told(socket, "connected")
        await say(socket, type="message", message="Who?")
        turn = (await told(socket, "done"))[-1]["turn"]
        await say(socket, type="message", message="Go on.", continues=turn)
        got = [message for message in await told(socket, "done") if message["type"] != "accepted"]
    assert {message["type"] for message in got} == {"chunk", "done"}
    assert {message["continues"] for message in got} == {turn}
    messages = (await person.http.get(f"/v1/threads/{thread}")).json()["messages"]
    assert [(message["role"], message["continues"]) for message in messages] == [
        ("user", None),
        ("assistant", None),
        ("assistant", turn),
    ]


async def test_an_answer_is_paused_resumed_and_stopped(person: Person) -> None:
    thread = await thread_of(person)
    async with person.socket(f"/v1/threads/{thread}/stream") as socket:
        await told(socket, "connected")
        await say(socket, type="message", message="slowly", audio="mp3")
        await told(socket, "chunk")
        await say(socket, type="pause")
        assert (await told(socket, "paused"))[-1]["type"] == "paused"
        await say(socket, type="resume")
        await told(socket, "resumed")
        await say(socket, type="stop")
        done = (await told(socket, "done"))[-1]
    assert done["stopped"] is True
    assert SLOW.startswith(done["content"])


async def test_a_socket_that_breaks_goes_on_after_the_message_it_has(person: Person) -> None:
    thread = await thread_of(person)
    path = f"/v1/threads/{thread}/stream"
    async with person.socket(path) as socket:
        await told(socket, "connected")
        await say(socket, type="message", message="Who?")
        got = await told(socket, "done")
    ids = [message["id"] for message in got if "id" in message]
    for place in range(0, len(ids) - 1, 5):
        async with person.socket(f"{path}?after={ids[place]}") as socket:
            rest = [message for message in await told(socket, "done") if "id" in message]
        assert [message["id"] for message in rest] == ids[place + 1 :]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "message"}, "input.invalid"),
        ({"type": "message", "message": "x" * 20_001}, "input.too_long"),
        ({"type": "dance"}, "input.invalid"),
        ({"type": "skip", "sentence": -1}, "input.invalid"),
        ({"type": "stop"}, "turn.none_running"),
        ("nonsense", "body.not_json"),
    ],
)
async def test_a_faulty_message_is_told_and_the_socket_stays(person: Person, message: Any, code: str) -> None:
    async with person.socket(f"/v1/threads/{await thread_of(person)}/stream") as socket:
        await told(socket, "connected")
        await socket.send(message if isinstance(message, str) else json.dumps(message))
        error = (await told(socket, "error"))[-1]
        assert error["code"] in (code, "input.invalid")
        await say(socket, type="ping")
        assert (await told(socket, "pong"))[-1] == {"type": "pong"}
