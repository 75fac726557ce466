"""Stories, scenes, pieces and places that are not there: a clear answer, over HTTP and on a socket."""

import json
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.clients.native_client import SCENES, STREAM, create
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
NOBODYS = "01a1feb8-0bed-7a3a-8912-e4e0088a6ada"


@pytest.mark.parametrize("ident", ["nope", "0", NOBODYS, "%00", "a" * 5_000, "..", "é"])
async def test_an_unknown_story_is_not_found(http: httpx.AsyncClient, ident: str) -> None:
    base = f"/api/stories/{ident}"
    for answer in [
        await http.get(base),
        await http.delete(base),
        await http.post(f"{base}/scenes", json={}),
        await http.get(f"{base}/scenes/1"),
        await http.post(f"{base}/scenes/generate-with-tts-stream"),
    ]:
        assert answer.status_code in (404, 405)
        assert answer.json()["code"] in ("session.not_found", "route.not_found", "route.method_not_allowed")


async def test_another_session_is_not_found_as_a_story(http: httpx.AsyncClient, scene: str) -> None:
    narration = (await http.post(f"/api/tts/generate/{scene}")).json()["session_id"]
    for ident in (await create(http), narration, scene):
        answer = await http.post(f"/api/stories/{ident}/scenes", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "session.not_found")


BAD_SCENE_IDS = [
    ("nope", "scene.not_found"),
    ("0", "scene.not_found"),
    ("..2", "scene.not_found"),
    (f"{NOBODYS}.2", "session.not_found"),
    (f"{NOBODYS}.-2", "scene.not_found"),
    (f"{NOBODYS}." + "9" * 16, "scene.not_found"),
    (f"{NOBODYS}.", "scene.not_found"),
    (NOBODYS, "session.not_found"),
    ("a" * 5_000, "scene.not_found"),
    ("%00", "scene.not_found"),
    ("{story}", "session.not_found"),
    ("{story}.1", "scene.not_found"),
    ("{story}.999", "scene.not_found"),
]


@pytest.mark.parametrize(("ident", "code"), BAD_SCENE_IDS)
async def test_an_unknown_scene_is_not_found(
    app: RunningApp, http: httpx.AsyncClient, story: str, ident: str, code: str
) -> None:
    ident = ident.format(story=story)
    for answer in [
        await http.get(f"/api/tts/audio/{ident}/chunk/0"),
        await http.delete(f"/api/tts/generate/{ident}"),
    ]:
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    wanted = await http.post(f"/api/tts/generate/{ident}")
    assert wanted.status_code == 404
    for path in (f"/ws/tts/{ident}", f"/ws/scene-generation/{ident}"):
        said, closed = await said_by(app, path)
        assert [message["type"] for message in said] == ["error"]
        assert said[0]["code"] in (code, "scene.not_found")
        assert closed == 4404


@pytest.mark.parametrize(
    "number", ["-1", "99", "9" * 400, pytest.param("9" * 5_000, id="long"), "x", "1.5", "%00", "１"]
)
async def test_an_unknown_chunk_or_scene_number_is_refused(
    http: httpx.AsyncClient, scene: str, number: str
) -> None:
    narration = (await http.post(f"/api/tts/generate/{scene}")).json()["session_id"]
    for path in (f"/api/tts/audio/{narration}/chunk/{number}", f"/api/stories/{scene[:36]}/scenes/{number}"):
        answer = await http.get(path)
        assert answer.status_code in (404, 422, 425)
        assert answer.json()["code"] in (
            "chunk.not_found",
            "chunk.not_ready",
            "scene.not_found",
            "input.invalid",
            "route.not_found",
        )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/tts/audio/{scene}/chunk/0?format=flac", 422),
        ("/api/tts/voices/nobody/preview", 422),
        ("/api/tts/voices/joe/preview?provider=nobody", 422),
        ("/api/tts/voices/joe/preview?speed=nan", 422),
        ("/api/tts/voices/joe/preview?speed=99", 422),
        ("/api/tts/voices/joe/preview?format=", 422),
        ("/api/tts/voices/%00/preview", 422),
        ("/api/tts/voices/preview", 404),
    ],
)
async def test_a_bad_query_is_refused(http: httpx.AsyncClient, scene: str, path: str, status: int) -> None:
    answer = await http.get(path.format(scene=scene))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def said_by(
    app: RunningApp, path: str, *frames: str | bytes
) -> tuple[list[dict[str, Any]], int | None]:
    """All that a socket says until it closes, and the close code."""
    said: list[dict[str, Any]] = []
    with anyio.fail_after(30):
        async with connect(app.ws_url + path, max_size=None) as socket:
            try:
                for frame in frames:
                    await socket.send(frame)
                while True:
                    said.append(json.loads(await socket.recv()))
            except ConnectionClosed:
                return said, socket.close_code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=x", "input.invalid"),
        ("after=-1", "input.invalid"),
        ("after=" + "9" * 16, "input.invalid"),
        ("after=1.5", "input.invalid"),
        ("after=%00", "input.invalid"),
        ("after=" + "9" * 15, "cursor.ahead"),
    ],
)
async def test_a_bad_place_to_go_on_from_is_refused(
    app: RunningApp, scene: str, query: str, code: str
) -> None:
    for path in (f"/ws/scene-generation/{scene}", "/ws/anybody"):
        said, closed = await said_by(app, f"{path}?{query}")
        assert [message["code"] for message in said if message["type"] == "error"] == [code]
        assert closed in (4422, 4409)


async def test_a_bad_place_in_a_narration_is_refused(
    app: RunningApp, http: httpx.AsyncClient, scene: str
) -> None:
    narration = (await http.post(f"/api/tts/generate/{scene}")).json()["session_id"]
    for query in ("after=x", "after=-1", "after=" + "9" * 10, "format=flac"):
        said, closed = await said_by(app, f"/ws/tts/{narration}?{query}")
        assert [message["code"] for message in said] == ["input.invalid"]
        assert closed == 4422
    said, closed = await said_by(app, "/ws/anybody?ack=perhaps")
    assert ([message["code"] for message in said], closed) == (["input.invalid"], 4422)


BAD_FRAMES: list[str | bytes] = [
    b"\x00\x01",
    "not json",
    "[]",
    "{}",
    "7",
    '{"type": "dance"}',
    '{"type": "stop", "loudly": true}',
    '{"type": "skip", "sentence": 1e400}',
    '{"type": "skip", "sentence": -1}',
    '{"type": "skip", "sentence": 99999999999999999999}',
    '{"type": "ack", "id": "x"}',
    '{"type": "ack"}',
    "[" * 4_000,
    '{"type": "stop"' + " " * 5_000 + "}",
]


async def test_bad_frames_get_an_error_each_and_the_socket_stays_usable(
    app: RunningApp, http: httpx.AsyncClient, story: str
) -> None:
    made = await http.post(STREAM.format(story=story), data={"custom_prompt": "slowly"})
    scene = made.json()["session_id"]
    for path in (f"/ws/scene-generation/{scene}", "/ws/anybody"):
        said: list[dict[str, Any]] = []
        async with connect(app.ws_url + path, max_size=None) as socket:
            for frame in BAD_FRAMES:
                await socket.send(frame)
            await socket.send('{"type": "ping"}')
            while not said or said[-1]["type"] != "pong":
                said.append(json.loads(await socket.recv()))
        errors = [message for message in said if message["type"] == "error"]
        assert [error["code"] for error in errors] == ["input.invalid"] * len(BAD_FRAMES), path
        assert all(error["message"] for error in errors)
    said, _ = await said_by(app, f"/ws/scene-generation/{scene}", '{"type": "stop"}')
    assert said[-1]["type"] == "generation_complete"


async def test_commands_to_what_is_finished_are_refused(
    app: RunningApp, http: httpx.AsyncClient, scene: str
) -> None:
    narration = (await http.post(f"/api/tts/generate/{scene}")).json()["session_id"]
    await said_by(app, f"/ws/tts/{narration}")
    refused = await http.delete(f"/api/tts/generate/{narration}")
    assert (refused.status_code, refused.json()["code"]) == (409, "turn.none_running")
    refused = await http.delete(f"/api/tts/generate/{scene}")
    assert (refused.status_code, refused.json()["code"]) == (409, "turn.none_running")


async def test_a_scene_without_text_cannot_be_narrated(
    app: RunningApp, http: httpx.AsyncClient, story: str
) -> None:
    for number in range(2):
        made = await http.post(f"{SCENES.format(story=story)}?wait=false", json={"custom_prompt": "slowly"})
        assert made.status_code == 202, number
    waiting = made.json()["id"]
    await said_by(app, f"/ws/scene-generation/{waiting}", '{"type": "stop"}')
    refused = await http.post(f"/api/tts/generate/{waiting}")
    assert (refused.status_code, refused.json()["code"]) == (409, "scene.not_ready")
    assert (await http.delete(f"/api/stories/{story}")).status_code == 204
    for answer in (
        await http.get(f"/api/stories/{story}"),
        await http.get(f"/api/tts/audio/{waiting}/chunk/0"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (410, "session.gone")
