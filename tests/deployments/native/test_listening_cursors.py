"""Cursors, paces and ends of listening, over SSE and WebSocket."""

import base64

import httpx
import pytest

from tests.support.clients.native_client import ask, create, frames, listen_until_over, open_stream, sse
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@pytest.fixture
async def told(app: RunningApp, http: httpx.AsyncClient) -> tuple[str, int, list[dict[str, object]]]:
    """A session with one finished turn: its id, the turn, its events."""
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(app.ws_url, session, turn)
    return session, turn, heard.events


async def test_sse_says_hello_then_the_events_with_their_cursors_then_why_it_ends(
    http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, _, events = told
    got = [event async for event in sse(http, session, follow=False)]
    (first, _, hello), (last, _, end) = got[0], got[-1]
    assert (first, hello["from_seq"], hello["head_seq"]) == ("hello", 0, len(events))
    assert [data for _, _, data in got[1:-1]] == events
    assert [ident for _, ident, _ in got[1:-1]] == [f"{hello['generation']}-{f['seq']}" for f in events]
    assert (last, end) == ("end", {"reason": "caught_up", "seq": len(events)})


async def test_last_event_id_continues_after_it_and_wins_over_from(
    http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, _, events = told
    ids = [ident async for name, ident, _ in sse(http, session, follow=False) if name == "message"]
    for cut in (1, len(ids) // 2, len(ids) - 1):
        headers = {"Last-Event-ID": ids[cut - 1]}
        rest = [d async for n, _, d in sse(http, session, headers, follow=False, from_=0) if n == "message"]
        assert rest == events[cut:]


async def test_a_turn_can_be_heard_to_its_end_and_no_further(
    http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, turn, events = told
    got = [(name, data) async for name, _, data in sse(http, session, turn=turn)]
    assert got[-2][1] == events[-1]
    assert got[-1] == ("end", {"reason": "turn_over", "seq": len(events)})


async def test_sse_carries_audio_when_asked(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, turn, _ = told
    over_socket = await listen_until_over(app.ws_url, session, turn, audio="mp3")
    chunks = [
        d async for n, _, d in sse(http, session, turn=turn, audio="mp3") if d.get("type") == "audio.chunk"
    ]
    assert {
        c["seq"]: base64.b64decode(c.get("audio", "")) for c in chunks if c.get("audio")
    } == over_socket.audio


async def test_a_replay_at_pace_keeps_the_order_and_the_events(
    http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, _, events = told
    got = [data async for name, _, data in sse(http, session, speed=50) if name == "message"]
    assert got == events


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from": "-1"}, 400, "cursor.malformed"),
        ({"from": "12x"}, 400, "cursor.malformed"),
        ({"from": ""}, 400, "cursor.malformed"),
        ({"from": "１２"}, 400, "cursor.malformed"),
        ({"from": "9" * 30}, 400, "cursor.malformed"),
        ({"from": "mpwv123-3"}, 409, "cursor.foreign"),
        ({"from": "99999"}, 409, "cursor.ahead"),
        ({"speed": "fast"}, 422, "input.invalid"),
        ({"speed": "nan"}, 422, "input.invalid"),
        ({"audio": "flac"}, 422, "input.invalid"),
        ({"turn": "-4"}, 422, "input.invalid"),
    ],
)
async def test_a_wrong_query_is_refused_and_never_guessed_at(
    app: RunningApp,
    http: httpx.AsyncClient,
    told: tuple[str, int, list[dict[str, object]]],
    query: dict[str, str],
    status: int,
    code: str,
) -> None:
    session, _, _ = told
    answer = await http.get(f"/v1/sessions/{session}/events", params=query)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["field"] == next(iter(query))


@pytest.mark.parametrize(("cursor", "close"), [("12x", 4400), ("mpwv123-3", 4409), ("99999", 4409)])
async def test_a_socket_with_a_wrong_cursor_is_told_why(
    app: RunningApp, told: tuple[str, int, list[dict[str, object]]], cursor: str, close: int
) -> None:
    async with open_stream(app.ws_url, told[0], from_=cursor) as socket:
        said = [event async for event, _ in frames(socket)]
    assert [event["type"] for event in said] == ["error"]
    assert socket.close_code == close


async def test_a_quiet_connection_beats(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    async with open_stream(app.ws_url, session) as socket:
        async for event, _ in frames(socket):
            if event["type"] == "heartbeat":
                break
    assert event["head_seq"] == 1


async def test_listening_to_a_turn_from_its_end_ends_at_once(
    http: httpx.AsyncClient, told: tuple[str, int, list[dict[str, object]]]
) -> None:
    session, turn, events = told
    got = [(name, data) async for name, _, data in sse(http, session, turn=turn, from_=len(events))]
    assert [name for name, _ in got] == ["hello", "end"]
    missing = await http.get(f"/v1/sessions/{session}/events", params={"turn": 99})
    assert missing.json()["code"] == "turn.not_found"


@pytest.mark.parametrize("query", [{"audio": "flac"}, {"turn": "-1"}, {"follow": "maybe"}, {"speed": "x"}])
async def test_a_socket_with_a_wrong_query_is_told_which_field(
    app: RunningApp, told: tuple[str, int, list[dict[str, object]]], query: dict[str, str]
) -> None:
    async with open_stream(app.ws_url, told[0], **query) as socket:
        said = [event async for event, _ in frames(socket)]
    assert [event["field"] for event in said] == list(query)
    assert socket.close_code == 4422
