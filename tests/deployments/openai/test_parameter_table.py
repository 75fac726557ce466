"""Every line of the table in docs/openai.md is true."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from schemas.openai.chat_request import ChatCompletionRequest
from schemas.openai.embeddings_request import EmbeddingsRequest
from schemas.openai.parameter_support import Row
from schemas.openai.parameter_table import TABLE
from schemas.openai.responses_request import ResponsesRequest
from schemas.openai.speech_request import SpeechRequest
from schemas.openai.transcription_request import LISTS, TranscriptionRequest, TranslationRequest
from tests.support.clients.openai_requests import spoken
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
MODELS: dict[str, type[BaseModel]] = {
    "POST /v1/chat/completions": ChatCompletionRequest,
    "POST /v1/responses": ResponsesRequest,
    "POST /v1/audio/speech": SpeechRequest,
    "POST /v1/audio/transcriptions": TranscriptionRequest,
    "POST /v1/audio/translations": TranslationRequest,
    "POST /v1/embeddings": EmbeddingsRequest,
}
BARE: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": "at once"}]},
    "/v1/responses": {"model": "gpt-4o", "input": "at once"},
    "/v1/audio/speech": {"model": "tts-1", "voice": "alloy", "input": "Yes."},
    "/v1/audio/transcriptions": {"model": "gpt-4o-mini-transcribe"},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Yes."},
}
LINES = [
    pytest.param(
        endpoint.removeprefix("POST "), row, id=f"{endpoint[9:]}-{row.field}-{row.standing}-{number}"
    )
    for endpoint, rows in TABLE.items()
    if endpoint in [f"POST {path}" for path in BARE]
    for number, row in enumerate(rows)
]
TRANSLATIONS = TABLE["POST /v1/audio/translations"]


def filled(value: Any) -> Any:
    """With a recording where the table has its place."""
    data = base64.b64encode(spoken()).decode() if "@wav" in json.dumps(value) else ""
    return json.loads(json.dumps(value).replace("@wav", data))


async def sent(http: httpx.AsyncClient, path: str, fields: dict[str, Any]) -> httpx.Response:
    if path not in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        return await http.post(path, json=filled(fields))
    form = {f"{name}[]" if name in LISTS else name: value for name, value in fields.items() if name != "file"}
    return await http.post(path, data=form, files={"file": ("card.wav", spoken(), "audio/wav")})


@pytest.mark.parametrize(("path", "row"), LINES)
async def test_a_line_of_the_table_is_true(http: httpx.AsyncClient, path: str, row: Row) -> None:
    answer = await sent(http, path, BARE[path] | dict(row.also) | {row.field: row.value})
    if row.standing != "refused":
        assert answer.status_code == 200, answer.text
        assert answer.content
        return
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "invalid_request_error",
        row.code,
        row.param or row.field,
    )
    assert error["message"]


with_whisper = app_fixture(
    cache=Path("~/.cache/rhapsode").expanduser(), quality_speech_to_text={"engine": "whisper"}
)


@pytest.mark.weights
@pytest.mark.parametrize(
    "row", [row for row in TRANSLATIONS if row.value in ("whisper-1", "verbose_json", "0.2")]
)
async def test_a_line_about_translations_is_true(with_whisper: RunningApp, row: Row) -> None:
    async with httpx.AsyncClient(base_url=with_whisper.url, timeout=60) as http:
        answer = await sent(http, "/v1/audio/translations", {"model": "whisper-1"} | {row.field: row.value})
    assert answer.status_code == 200, answer.text


async def test_no_translation_is_made_where_whisper_does_not_listen(http: httpx.AsyncClient) -> None:
    answer = await sent(http, "/v1/audio/translations", {"model": "whisper-1"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_value"
    assert answer.json()["error"]["param"] == "model"


@pytest.mark.parametrize("endpoint", TABLE)
def test_the_table_says_something_of_every_field(endpoint: str) -> None:
    fields = set(MODELS[endpoint].model_fields)
    known = {row.field for row in TABLE[endpoint] if "unknown field; " not in row.note}
    assert known - {"file"} == fields
