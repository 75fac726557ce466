"""Durable streams beyond their conformance tests: owners, sizes, and sessions that are read as streams."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from threading import Thread
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from deployments.faces.durable import stream_reads
from pipeline.apps.stream_bodies import message_of
from pipeline.session_state.stream_state import PRODUCERS, NewAppend, ProducerBatch, StreamState
from schemas.errors.stream_errors import StreamInvalid
from schemas.events import StreamCreated
from tests.support.clients.access_people import People
from tests.support.loop_turns import others_come_between
from tests.support.running_app import RunningApp

JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}


def by(producer: str, epoch: int, number: int) -> dict[str, str]:
    return {"Producer-Id": producer, "Producer-Epoch": str(epoch), "Producer-Seq": str(number)}


def test_a_stream_is_its_principals_alone(anna: httpx.Client, bob: httpx.Client) -> None:
    assert anna.put("durable/secret", content="hers").status_code == 201
    assert bob.get("durable/secret").status_code == 404
    assert bob.post("durable/secret", content="mine").status_code == 404
    assert bob.delete("durable/secret").status_code == 404
    fork = bob.put("durable/copy", headers={"Stream-Forked-From": "/v1/durable/secret"})
    assert fork.status_code == 404
    nowhere = bob.put("durable/copy", headers={"Stream-Forked-From": "https://[::/v1/durable/secret"})
    assert (nowhere.status_code, nowhere.json()["field"]) == (400, "Stream-Forked-From")
    assert bob.put("durable/secret", content="his").status_code == 201
    assert anna.get("durable/secret").text == "hers"
    assert bob.get("durable/secret").text == "his"


@pytest.mark.parametrize("name", ["été 100%", "😀", "a?b#c", "años/日記"])
def test_a_stream_of_any_name_is_found_where_its_creation_says(anna: httpx.Client, name: str) -> None:
    made = anna.put(f"durable/{quote(name)}", content=name, headers={"Content-Type": "text/plain"})
    assert made.status_code == 201
    assert made.headers["Location"].endswith(f"/durable/{quote(name)}")
    assert anna.get(made.headers["Location"]).text == name


def test_a_stream_needs_a_credential(anna: httpx.Client) -> None:
    refused = httpx.get(str(anna.base_url.join("durable/secret")))
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


def test_an_append_larger_than_an_event_comes_back_whole(anna: httpx.Client) -> None:
    body = bytes(range(256)) * 3_000  # three events of the log
    anna.put("durable/large", headers=OCTETS)
    anna.post("durable/large", content=b"before", headers=OCTETS)
    place = anna.post("durable/large", content=body, headers=OCTETS).headers["Stream-Next-Offset"]
    anna.post("durable/large", content=b"after", headers=OCTETS)
    assert anna.get("durable/large").content == b"before" + body + b"after"
    assert anna.get(f"durable/large?offset={place}").content == b"after"
    fork = {"Stream-Forked-From": "large", "Stream-Fork-Offset": place, "Stream-Fork-Sub-Offset": "3"}
    assert anna.put("durable/large-fork", headers=OCTETS | fork).status_code == 201
    assert anna.get("durable/large-fork").content == b"before" + body + b"aft"


def test_a_read_ends_at_a_page_and_goes_on_from_there(anna: httpx.Client) -> None:
    anna.put("durable/pages", headers=OCTETS)
    for number in range(6):
        anna.post("durable/pages", content=bytes([number]) * 400_000, headers=OCTETS)
    got, offset, pages = b"", "-1", 0
    while True:
        page = anna.get(f"durable/pages?offset={offset}")
        got, offset, pages = got + page.content, page.headers["Stream-Next-Offset"], pages + 1
        if "Stream-Up-To-Date" in page.headers:
            break
    assert got == b"".join(bytes([number]) * 400_000 for number in range(6))
    assert pages > 1


def test_json_messages_come_back_byte_for_byte(anna: httpx.Client) -> None:
    anna.put("durable/numbers", headers=JSON)
    anna.post("durable/numbers", content='[1.0, 12345678901234567890123, {"a" :"\\u00e9"}]', headers=JSON)
    anna.post("durable/numbers", content='  "x,]" ', headers=JSON)
    assert anna.get("durable/numbers").text == '[1.0, 12345678901234567890123, {"a" :"\\u00e9"},"x,]"]'
    fork = {"Stream-Forked-From": "numbers", "Stream-Fork-Offset": f"{0:016}_{2:016}"}
    anna.put("durable/two", headers=JSON | fork | {"Stream-Fork-Sub-Offset": "2"})
    assert anna.get("durable/two").text == "[1.0, 12345678901234567890123]"
    deep = "[" * 1_020 + "]" * 1_020
    anna.post("durable/numbers", content=f"[{deep}, 7]", headers=JSON).raise_for_status()
    fork |= {"Stream-Fork-Offset": f"{0:016}_{4:016}", "Stream-Fork-Sub-Offset": "1"}
    assert anna.put("durable/deep", headers=JSON | fork).status_code == 201
    assert anna.get("durable/deep").text.endswith(f",{deep}]")
    for wrong in ("[1,", "NaN", "[]", '"\ud800"'.encode("utf-8", "surrogatepass")):
        assert anna.post("durable/numbers", content=wrong, headers=JSON).status_code == 400


def test_a_batch_sent_by_many_at_once_is_appended_once(anna: httpx.Client) -> None:
    anna.put("durable/once")
    answers: list[int] = []

    def send() -> None:
        sent = anna.post("durable/once", content="x", headers=by("p", 0, 0))
        answers.append(sent.status_code)

    senders = [Thread(target=send) for _ in range(12)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(answers) == [200] + [204] * 11
    assert anna.get("durable/once").text == "x"


def test_a_stream_that_is_too_large_says_so(anna: httpx.Client) -> None:
    anna.put("durable/body", headers=OCTETS)
    refused = anna.post("durable/body", content=bytes(2_000_001), headers=OCTETS)
    assert (refused.status_code, refused.json()["code"]) == (413, "body.too_large")


def test_json_of_many_small_values_is_too_large_as_well(anna: httpx.Client) -> None:
    """Reading it would hold up everybody else of the gateway, for seconds."""
    anna.put("durable/crowd", headers=JSON)
    refused = anna.post("durable/crowd", content=b"[" + b"[]," * 200_000 + b"[]]", headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (413, "body.too_large")


@pytest.mark.parametrize("name", ["sessions", "sessions/new", "x" * 513, "bell%07"])
def test_some_names_are_no_streams(anna: httpx.Client, name: str) -> None:
    assert anna.put(f"durable/{name}").status_code in (400, 405)


def test_a_session_is_read_as_a_stream(anna: httpx.Client, bob: httpx.Client) -> None:
    session = anna.post("sessions", json={}, headers=JSON).json()["session_id"]
    path = f"durable/sessions/{session}"
    turn = anna.post(f"sessions/{session}/turns", json={"prompt": "Tell me"}, headers=JSON).json()["turn"]
    events: list[dict[str, Any]] = []
    offset = "-1"
    while not any(one["type"] == "turn.completed" for one in events):
        page = anna.get(f"{path}?offset={offset}&live=long-poll")
        assert page.status_code == 200
        events += page.json()
        offset = page.headers["Stream-Next-Offset"]
        assert "Stream-Closed" not in page.headers
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert {one["turn"] for one in events} == {None, turn}
    assert bob.get(path).status_code == 404
    for refused in (anna.post(path, content="x"), anna.put(path), anna.delete(path)):
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_a_removed_member_is_told_nothing_more_of_a_thread(anna: httpx.Client, bob: httpx.Client) -> None:
    thread = anna.post("threads", json={"title": "Ours"}, headers=JSON).json()["id"]
    anna.put(f"threads/{thread}/members", json={"user": "bob"}, headers=JSON).raise_for_status()
    end = bob.head(f"durable/sessions/{thread}").headers["Stream-Next-Offset"]
    with bob.stream("GET", f"durable/sessions/{thread}?offset={end}&live=sse", timeout=15) as live:
        parts = live.iter_text()
        told = next(parts)
        anna.delete(f"threads/{thread}/members/bob").raise_for_status()
        anna.patch(f"threads/{thread}", json={"title": "Without Bob"}, headers=JSON).raise_for_status()
        told += "".join(parts)
    assert "member.removed" not in told
    assert "Without Bob" not in told


def test_a_sessions_stream_closes_with_the_session(anna: httpx.Client) -> None:
    asked = {"model": "scripted", "messages": [{"role": "user", "content": "Tell me"}], "stream": True}
    with anna.stream("POST", "chat/completions", json=asked, headers=JSON) as answer:
        path = f"durable/sessions/{answer.headers['X-Rhapsode-Session']}"
        answer.read()
    with anna.stream("GET", f"{path}?offset=-1&live=sse") as live:
        told = b"".join(live.iter_bytes()).decode()
    assert '"session.ended"' in told
    assert '"streamClosed":true' in told
    whole = anna.get(path)
    assert whole.headers["Stream-Closed"] == "true"
    assert whole.json()[-1]["type"] == "session.ended"
    assert anna.head(path).headers["Stream-Closed"] == "true"


def test_a_streams_session_takes_no_turns_and_no_forks(anna: httpx.Client) -> None:
    anna.put("durable/listed", content="x")
    listed: list[dict[str, Any]] = []
    while not listed:  # the list lags behind
        sessions = anna.get("sessions?kind=stream&q=listed").json()["sessions"]
        listed = [one for one in sessions if one["title"] == "listed"]
    session = listed[0]["session_id"]
    turn = anna.post(f"sessions/{session}/turns", json={"prompt": "Hi"}, headers=JSON)
    assert (turn.status_code, turn.json()["code"]) == (409, "state.refused")
    assert anna.post(f"sessions/{session}/fork", json={}, headers=JSON).status_code == 422
    assert anna.delete(f"sessions/{session}").status_code == 409


def test_a_principals_erasure_erases_its_streams(
    anna: httpx.Client, root: httpx.Client, bob: httpx.Client
) -> None:
    bob.put("durable/gone", content="personal")
    bob.put("durable/fork-of-gone", headers={"Stream-Forked-From": "gone"})
    bob.get("users/bob/notifications")
    while len(bob.get("sessions?kind=stream").json()["sessions"]) < 2:
        pass
    proof = root.delete("users/bob").json()
    assert len([one for one in proof["sessions"] if one["n"] >= 3]) >= 2
    assert bob.get("durable/gone").status_code == 404
    assert bob.put("durable/gone", content="new").status_code == 201


def test_a_browser_runs_no_script_of_a_stream(anna: httpx.Client) -> None:
    page = {"Content-Type": "text/html"}
    anna.put("durable/page", content=b"<script>alert(1)</script>", headers=page).raise_for_status()
    shown = anna.get("durable/page", params={"offset": "-1"})
    assert shown.headers["content-type"] == "text/html"
    assert "sandbox" in shown.headers["content-security-policy"]


def test_a_stream_has_a_bounded_number_of_producers() -> None:
    state = StreamState()
    state.created = StreamCreated(content_type="text/plain")
    for number in range(PRODUCERS):
        state.producers[f"p{number}"] = ProducerBatch(f"p{number}", 0, 0)

    def append(producer: str, number: int) -> NewAppend:
        return NewAppend(b"x", "text/plain", batch=ProducerBatch(producer, 0, number))

    assert state.decide(append("p1", 1)) is None
    with pytest.raises(StreamInvalid) as refused:
        state.decide(append("another", 0))
    assert refused.value.field == "Producer-Id"


@pytest.mark.anyio
async def test_others_have_their_turn_while_a_long_json_append_is_read() -> None:
    others = list[str]()

    async def another() -> None:
        others.append("came")

    body = b"[%s0]" % (b"[1]," * 20_000)
    async with anyio.create_task_group() as both:
        both.start_soon(another)
        assert await message_of(body, "application/json") == body[1:-1]
        assert others


@pytest.mark.anyio
async def test_others_come_between_the_readers_that_are_told_of_a_long_append_at_once(
    app: RunningApp, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, readers = list[int](), 20
    cursor = stream_reads._Reading._cursor
    body = " a\r\n\n" * 20_000

    def counted(reading: stream_reads._Reading) -> str:
        told.append(1)
        return cursor(reading)

    headers = {"Authorization": f"Bearer {people.anna}", "Content-Type": "text/plain"}
    base = f"{app.url}/v1/durable/"
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as http,
        AsyncExitStack() as open_,
    ):
        await http.put("followed")
        streams = [
            await open_.enter_async_context(http.stream("GET", "followed?offset=now&live=sse"))
            for _ in range(readers)
        ]
        lines = [stream.aiter_lines() for stream in streams]
        for each in lines:
            first, _ = [line async for line in _until_blank(each)]
            assert first == "event: control"
        monkeypatch.setattr(stream_reads._Reading, "_cursor", counted)
        async with others_come_between(app, told, readers):
            await http.post("followed", content=body)
        said = [line async for line in _until_blank(lines[0])]
    assert "\n".join(line.removeprefix("data:").replace("  ", " ", 1) for line in said[1:]) == body.replace(
        "\r\n", "\n"
    )


async def _until_blank(lines: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    async for line in lines:
        if not line:
            return
        if not line.startswith(":"):
            yield line
