"""A bad request to stories and narration gets an error with a code, never a 500."""

import json
from typing import Any

import httpx
import pytest

from tests.support.clients.native_client import SCENES, STREAM

pytestmark = pytest.mark.anyio
HUGE = 10**400

BAD_STORIES: list[tuple[Any, str, str | None]] = [
    ({"title": 7}, "input.invalid", "title"),
    ({"title": "x" * 201}, "input.invalid", "title"),
    ({"title": "a\u0000b"}, "input.invalid", "title"),
    ({"premise": "x" * 4_001}, "input.invalid", "premise"),
    ({"premise": None}, "input.invalid", "premise"),
    ({"plot": "?"}, "input.unknown_field", "plot"),
    ([], "input.invalid", None),
    ("story", "input.invalid", None),
    (None, "input.invalid", None),
]
BAD_SCENES: list[tuple[Any, str, str | None]] = [
    ({"custom_prompt": 7}, "input.invalid", "custom_prompt"),
    ({"custom_prompt": "a\u0007b"}, "input.invalid", "custom_prompt"),
    ({"custom_prompt": "x" * 20_001}, "input.invalid", "custom_prompt"),
    ({"custom_prompt": "x" * 2_001}, "input.too_long", "custom_prompt"),
    ({"custom_prompt": "a", "tempo": 3}, "input.unknown_field", "tempo"),
    ({"key": "with blanks"}, "input.invalid", "key"),
    ({"key": ""}, "input.invalid", "key"),
]
BAD_CONTENTS: list[tuple[Any, str, str | None]] = [
    ({"content": ""}, "input.invalid", "content"),
    ({"content": " \n "}, "input.invalid", "content"),
    ({"content": ["a"]}, "input.invalid", "content"),
]
BAD_STREAMS: list[tuple[Any, str, str | None]] = [
    ({"enable_tts_stream": "perhaps"}, "input.invalid", "enable_tts_stream"),
    ({"enable_tts_stream": None}, "input.invalid", "enable_tts_stream"),
    ({"content": "given"}, "input.unknown_field", "content"),
]
BAD_SETTINGS: list[tuple[Any, str, str | None]] = [
    ({"tts_enabled": "yes"}, "input.invalid", "tts_enabled"),
    ({"tts_enabled": None}, "input.invalid", "tts_enabled"),
    ({"min_sentence_length": 0}, "input.invalid", "min_sentence_length"),
    ({"min_sentence_length": 501}, "input.invalid", "min_sentence_length"),
    ({"min_sentence_length": HUGE}, "input.invalid", "min_sentence_length"),
    ({"min_sentence_length": 20.5}, "input.invalid", "min_sentence_length"),
    ({"speech_speed": 9}, "input.invalid", "speech_speed"),
    ({"speech_speed": float("nan")}, "input.invalid", "speech_speed"),
    ({"default_voice": "nobody"}, "voice.unknown", "default_voice"),
    ({"default_voice": "a\u0000"}, "input.invalid", "default_voice"),
    ({"default_voice": 7}, "input.invalid", "default_voice"),
    ({"tts_provider": "nobody"}, "provider.unknown", "tts_provider"),
    ({"tts_timeout": 0}, "input.invalid", "tts_timeout"),
    ({"tts_timeout": 1e9}, "input.invalid", "tts_timeout"),
    ({"tts_extra_params": {"a": [1]}}, "input.invalid", "tts_extra_params.a"),
    ({"tts_extra_params": {"a": "\u0000"}}, "input.invalid", "tts_extra_params"),
    ({"tts_extra_params": {str(n): n for n in range(33)}}, "input.invalid", "tts_extra_params"),
    ({"pronunciations": [{"word": "a", "ipa": "1234 漢字"}]}, "input.invalid", "pronunciations.0.ipa"),
    ({"loudness": 1}, "input.unknown_field", "loudness"),
    ([], "input.invalid", None),
]
BAD_TEXTS: list[tuple[Any, str, str | None]] = [
    ({}, "input.invalid", "text"),
    ({"text": ""}, "input.invalid", "text"),
    ({"text": 7}, "input.invalid", "text"),
    ({"text": "a\u0000b"}, "input.invalid", "text"),
    ({"text": "a", "voice": "joe"}, "input.unknown_field", "voice"),
    ({"text": "a", "title": "x" * 201}, "input.invalid", "title"),
    ([], "input.invalid", None),
]
GENERATE = "/api/tts/generate/{scene}"
BAD_BODIES = [
    *(("POST", "/api/stories", *bad) for bad in BAD_STORIES),
    *(("POST", SCENES, *bad) for bad in BAD_SCENES + BAD_CONTENTS),
    *(("POST", STREAM, *bad) for bad in BAD_SCENES + BAD_STREAMS),
    *(("PUT", "/api/tts/settings", *bad) for bad in BAD_SETTINGS),
    *(("POST", "/api/tts/generate", *bad) for bad in BAD_TEXTS),
    (
        "POST",
        "/api/tts/generate/{scene}",
        {"force_regenerate": "perhaps"},
        "input.invalid",
        "force_regenerate",
    ),
    ("POST", "/api/tts/generate/{scene}", {"again": True}, "input.unknown_field", "again"),
]


@pytest.mark.parametrize(("method", "path", "body", "code", "field"), BAD_BODIES)
async def test_a_bad_body_is_refused_by_field_and_code(
    http: httpx.AsyncClient, scene: str, method: str, path: str, body: Any, code: str, field: str | None
) -> None:
    path = path.format(story=scene.partition(".")[0], scene=scene)
    before = (await http.get("/api/tts/settings")).json()
    content = json.dumps(body).encode()
    answer = await http.request(method, path, content=content, headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (422, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get("/api/tts/settings")).json() == before
    shown = (await http.get(f"/api/stories/{scene.partition('.')[0]}")).json()
    assert len(shown["scenes"]) == 1
    assert shown["scenes"][0]["narration"] is None


async def test_a_text_that_is_too_long_is_told_in_characters(http: httpx.AsyncClient, story: str) -> None:
    answer = await http.post(SCENES.format(story=story), json={"custom_prompt": "x" * 20_001})
    said = answer.json()["detail"]
    assert said == "custom_prompt: Text should have at most 20000 characters, not 20001"


@pytest.mark.parametrize(
    "path", ["/api/stories/nonsense", "/api/stories/019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e11"]
)
async def test_a_story_that_is_not_there_is_called_story_id(http: httpx.AsyncClient, path: str) -> None:
    for answer in (await http.get(path), await http.post(f"{path}/scenes", json={})):
        assert (answer.status_code, answer.json()["field"]) == (404, "story_id"), answer.text


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "body.not_json"),
        (b"\xff\xfe\x00", "application/json", 400, "body.not_json"),
        (b'{"custom_prompt": "\\ud800"}', "application/json", 400, "body.not_json"),
        (b"[" * 100_001, "application/json", 413, "body.too_large"),
        (b"[" * 50_000, "application/json", 400, "body.not_json"),
        (b"{", "", 400, "body.not_json"),
        (b"custom_prompt=%ff", FORM, 422, "input.invalid"),
        (b"custom_prompt=\xff", FORM, 422, "input.invalid"),
        (b"&".join(b"a%d=1" % n for n in range(60)), FORM, 422, "input.invalid"),
        (b"tempo=3", FORM, 422, "input.unknown_field"),
        (b"x=" + b"y" * 200_000, FORM, 413, "body.too_large"),
        (b"no parts at all", "multipart/form-data; boundary=b", 422, "input.invalid"),
        (b"--b\r\nno header", "multipart/form-data; boundary=b", 422, "input.invalid"),
        (b"anything", "multipart/form-data", 422, "input.invalid"),
        (b"--b--\r\n", "multipart/form-data; boundary=b; charset=punycode", 422, "input.invalid"),
        pytest.param(
            b"--b--\r\n",
            "multipart/form-data; boundary=b" + ";" * 2_000,
            422,
            "input.invalid",
            id="long type",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nhello\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "input.invalid",
        ),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    http: httpx.AsyncClient, story: str, content: bytes, kind: str, status: int, code: str
) -> None:
    for path in (SCENES, STREAM, "/api/stories"):
        answer = await http.post(path.format(story=story), content=content, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get(f"/api/stories/{story}")).json()["scenes"] == []


async def test_empty_fields_of_a_form_count_as_left_out(http: httpx.AsyncClient, story: str) -> None:
    answer = await http.post(SCENES.format(story=story), data={"custom_prompt": "", "content": "", "key": ""})
    assert answer.status_code == 201
    assert answer.json()["prompt"] == "Write the first scene of the story."
