"""A bad command gets an error with a code and a field, never a 500, and the session stays usable."""

import json
from string import ascii_lowercase

import httpx
import pytest

from tests.support.clients.native_client import ask, create, frames, listen_until_over, open_stream
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio

HANGS = {
    "name": "f",
    "parameters": {"type": "string", "allOf": [{"pattern": f".*{sign}.*"} for sign in ascii_lowercase]},
}
"""llguidance would compile its arguments for minutes."""
LONG = "x" * 9_000
BAD_TURNS = [
    ({}, "input.invalid", None),
    ({"prompt": ""}, "input.invalid", "prompt"),
    ({"prompt": "  \n\t "}, "input.invalid", "prompt"),
    ({"prompt": 7}, "input.invalid", "prompt"),
    ({"prompt": None}, "input.invalid", None),
    ({"prompt": "a", "text": "b"}, "input.invalid", None),
    ({"prompt": "a", "tempo": 3}, "input.unknown_field", "tempo"),
    ({"prompt": "x" * 2_001}, "input.too_long", "prompt"),
    ({"prompt": "a\u0000b"}, "input.invalid", "prompt"),
    ({"prompt": "a\u0007b"}, "input.invalid", "prompt"),
    ({"prompt": "a", "settings": {"voice": "nobody"}}, "voice.unknown", "settings.voice"),
    ({"prompt": "a", "settings": {"tts_provider": "nobody"}}, "provider.unknown", "settings.tts_provider"),
    ({"prompt": "a", "settings": {"tts_extra": {"a": []}}}, "input.invalid", "settings.tts_extra.a"),
    ({"prompt": "a", "settings": {"tts_timeout_s": 0}}, "input.invalid", "settings.tts_timeout_s"),
    ({"prompt": "a", "settings": {"speech_speed": 9}}, "input.invalid", "settings.speech_speed"),
    ({"prompt": "a", "settings": {"language": "xx"}}, "input.invalid", "settings.language"),
    (
        {"prompt": "a", "settings": {"sentences": {"max_length": 1}}},
        "input.invalid",
        "settings.sentences.max_length",
    ),
    (
        {"prompt": "a", "settings": {"sampling": {"json_schema": {"type": "objekt"}}}},
        "schema.invalid",
        "settings.sampling.json_schema",
    ),
    (
        {"prompt": "a", "settings": {"tools": {"functions": [HANGS], "choice": "required"}}},
        "schema.invalid",
        "settings.tools.functions.0.parameters",
    ),
    ({"prompt": "a", "settings": {"loudness": 1}}, "input.unknown_field", "settings.loudness"),
    ({"prompt": "a", "settings": []}, "input.invalid", "settings"),
    ({"prompt": "a", "replaces": 0}, "input.invalid", "replaces"),
    ({"prompt": "a", "replaces": "1"}, "input.invalid", "replaces"),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD_TURNS)
async def test_a_bad_turn_is_refused_by_field_and_code(
    http: httpx.AsyncClient, body: dict[str, object], code: str, field: str | None
) -> None:
    session = await create(http)
    answer = await http.post(f"/v1/sessions/{session}/turns", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert (problem["code"], problem.get("field")) == (code, field)
    assert (await http.get(f"/v1/sessions/{session}")).json()["head_seq"] == 1


async def test_a_turn_is_replaced_by_one_version_after_the_other(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/v1/threads", json={})).json()["id"]

    async def asked(message: str, replaces: int | None = None) -> tuple[int, str | None, int]:
        body = {"message": message, "thread_id": thread, "replaces": replaces}
        async with http.stream("POST", "/v1/conversations/message/stream", json=body) as answer:
            told = (await answer.aread()).decode()
        view = (await http.get(f"/v1/threads/{thread}")).json()["messages"]
        return answer.status_code, (json.loads(told)["code"] if answer.is_error else None), view[-1]["turn"]

    _, _, first = await asked("One?")
    _, _, again = await asked("One, again?", first)
    assert again > first
    messages = (await http.get(f"/v1/threads/{thread}")).json()["messages"]
    assert [one["content"] for one in messages if one["role"] == "user"] == ["One, again?"]
    assert await asked("Too late", first) == (409, "turn.not_replaceable", again)
    assert await asked("Of another", 99) == (404, "turn.not_found", again)


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/embeddings"])
async def test_a_long_name_of_an_unknown_field_is_not_repeated_whole(
    http: httpx.AsyncClient, path: str
) -> None:
    for body in ({LONG: 1}, {"settings": {LONG: 1}}, {"model": {LONG: 1}}):
        answer = await http.post(path, json=body)
        assert answer.is_client_error
        assert len(answer.content) < 1_000


@pytest.mark.parametrize(("body", "code", "field"), BAD_TURNS)
async def test_the_socket_refuses_the_same_with_an_error_event(
    app: RunningApp, http: httpx.AsyncClient, body: dict[str, object], code: str, field: str | None
) -> None:
    session = await create(http)
    async with open_stream(app.ws_url, session) as socket:
        await socket.send(json.dumps({"type": "turn.request", "ref": "x", **body}))
        async for event, _ in frames(socket):
            if event["type"] == "error":
                break
    assert (event["code"], event["field"], event["ref"]) == (code, field, "x")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "input.invalid"),
        (b"{", 400, "body.not_json"),
        (b"\xff\xfe\x00", 400, "body.not_json"),
        (b"[]", 422, "input.invalid"),
        (b'"prompt"', 422, "input.invalid"),
        (b"x" * 200_000, 413, "body.too_large"),
        (json.dumps({"prompt": "word" * 40_000}).encode(), 413, "body.too_large"),
    ],
)
async def test_a_bad_body_is_refused(http: httpx.AsyncClient, content: bytes, status: int, code: str) -> None:
    session = await create(http)
    answer = await http.post(
        f"/v1/sessions/{session}/turns", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00\x01binary", "input.not_open"),
        ("not json", "body.not_json"),
        ("[]", "input.invalid"),
        ('{"type": "dance"}', "input.invalid"),
        ("{}", "input.invalid"),
        ('{"type": "control", "action": "explode"}', "input.invalid"),
        ('{"type": "control", "action": "stop"}', "turn.none_running"),
        ('{"type": "control", "action": "stop", "turn": 77}', "turn.not_found"),
        ("x" * 150_000, "body.too_large"),
    ],
)
async def test_a_bad_message_gets_an_error_and_the_socket_stays_usable(
    app: RunningApp, http: httpx.AsyncClient, message: str | bytes, code: str
) -> None:
    session = await create(http)
    async with open_stream(app.ws_url, session) as socket:
        await socket.send(message)
        await socket.send('{"type": "ping"}')
        got = []
        async for event, _ in frames(socket):
            got.append(event)
            if event["type"] == "pong":
                break
    assert [event["code"] for event in got if event["type"] == "error"] == [code]


@pytest.mark.parametrize("ident", ["nope", "0", "00000000-0000-7000-8000-000000000000", "%00", "a" * 5_000])
async def test_an_unknown_session_is_not_found(app: RunningApp, http: httpx.AsyncClient, ident: str) -> None:
    for answer in [
        await http.get(f"/v1/sessions/{ident}"),
        await http.get(f"/v1/sessions/{ident}/events"),
        await http.get(f"/v1/sessions/{ident}/audio"),
        await http.post(f"/v1/sessions/{ident}/turns", json={"prompt": "Hello"}),
        await http.post(f"/v1/sessions/{ident}/control", json={"action": "stop"}),
        await http.delete(f"/v1/sessions/{ident}"),
    ]:
        assert (answer.status_code, answer.json()["code"]) == (404, "session.not_found")


async def test_a_full_queue_refuses_politely_and_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    session = await create(http)
    answers = [
        await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "slowly please"}) for _ in range(5)
    ]
    assert [a.status_code for a in answers[:3]] == [202, 202, 202]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "turn.queue_full")
    assert answers[-1].headers["retry-after"]
    await http.delete(f"/v1/sessions/{session}")


@pytest.mark.parametrize(
    "text",
    [
        "w" * 12_000,
        "no sentence end " * 200,
        "🦊" * 300,
        "--- *** ___",
        "1" * 400,
        "a\nb\r\nc\u2028d\u200be\u0301" * 50,
        "。" * 100,
        "<b>&amp;</b> [1] http://example.com/?q=1. ```code```",
    ],
)
async def test_odd_texts_are_shown_whole_and_the_turn_ends(
    app: RunningApp, http: httpx.AsyncClient, text: str
) -> None:
    session = await create(http)
    turn = await ask(http, session, text=text)
    heard = await listen_until_over(app.ws_url, session, turn)
    assert heard.types(turn)[-1] == "turn.completed"
    assert heard.text(turn) == text.replace("\r\n", "\n")
    ready = heard.of("sentence.ready", turn)
    assert ready[-1]["data"]["end"] == len(heard.text(turn))


async def test_unknown_routes_and_methods_answer_with_problems_too(http: httpx.AsyncClient) -> None:
    missing = await http.get("/v1/nothing")
    wrong = await http.put("/v1/sessions")
    assert (missing.status_code, missing.json()["code"]) == (404, "route.not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "route.method_not_allowed")


async def test_only_an_import_may_be_as_large_as_a_bundle(http: httpx.AsyncClient) -> None:
    """To other methods its path is a session's, and what they send is held in memory."""
    answer = await http.patch("/v1/sessions/import", content=b" " * 200_000)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/threads", "/v1/characters", "/v1/collections"])
@pytest.mark.parametrize("kind", ["list", "keys"])
async def test_a_body_of_too_many_parts_is_refused_before_anybody_counts_its_errors(
    http: httpx.AsyncClient, path: str, kind: str
) -> None:
    parts = [1] * 60_000 if kind == "list" else {f"key{n}": n for n in range(60_000)}
    answer = await http.post(path, json={"settings": {"collections": parts}, "name": parts})
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")
