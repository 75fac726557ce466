"""One open server with scripted engines, functions of its own and a document, and what reads its streams."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients.openai_requests import SLOWLY, STORY
from tests.support.running_app import RunningApp, app_fixture

HERE = "tests.support.operator_functions"
BOOK = "# The lighthouse\n\nIt was built in 1906 and lit for the first time on 26 May 1908.\n"
CITED = "It was lit in 1908 [1]."
WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo"}', "say": "Let me look. "}
OFFER = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}

Part = dict[str, Any]
app = app_fixture(
    "package",
    llm={
        "reply": STORY,
        "delta_chars": 6,
        "per_delta_ms": 2,
        "reply_to": {"slowly": SLOWLY * 4, "lit": CITED, "weather": "Take an umbrella.", "echo": "Yes."},
        "fail_on": "break off",
        "call_for": {
            "Kiel": [{"name": "station_forecast", "arguments": '{"city": "Kiel"}'}],
            "the tides": [{"name": "tides", "arguments": '{"harbour": "Oslo"}', "say": "I look. "}],
            "the barometer": [{"name": "broken"}],
            "weather": [WEATHER],
        },
    },
    tts={"ms_per_char": 5},
    retrieval={"embedding": "wordllama", "judge": None},
    tools={
        "functions": {
            "tides": {"entry_point": f"{HERE}:tides"},
            "broken": {"entry_point": f"{HERE}:broken"},
        },
        "mcp_servers": {
            "station": {
                "command": [sys.executable, "-m", "tests.support.servers.mcp_station"],
                "env": {"PYTHONPATH": str(Path(__file__).parents[3])},
                "tools": ["forecast"],
                "connect_s": 60,
            },
            "private": {"command": ["true"], "tools": ["code"], "principals": ["anna"]},
        },
    },
    session={"max_tokens": 4_096},
    limits={"prompt_chars": 5_000, "text_chars": 20_000, "heartbeat_s": 0.2},
)


@pytest.fixture
def http(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="package")
def shelf(app: RunningApp) -> str:
    with httpx.Client(base_url=app.url, timeout=60) as http:
        collection = str(http.post("/v1/collections", json={"name": "Lighthouses"}).json()["id"])
        files = {"file": ("lighthouse.md", BOOK.encode())}
        assert http.post(f"/v1/collections/{collection}/documents", files=files).status_code == 201
    return collection


def said(text: str, name: str = "", role: str = "user") -> Part:
    message = {"role": role, "parts": [{"type": "text", "text": text}]}
    return {"id": name, **message} if name else message


def parts_in(response: httpx.Response) -> list[Part]:
    """All parts of a stream that has ended as it should."""
    assert response.status_code == 200, response.text
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def ask(http: httpx.Client, chat: str, *messages: Part, audio: str = "none", **more: Any) -> list[Part]:
    body = {"id": chat, "messages": messages, "trigger": "submit-message", **more}
    return parts_in(http.post("/v1/ui/chat", params={"audio": audio}, json=body))


def text_in(parts: list[Part]) -> str:
    return "".join(part["delta"] for part in parts if part["type"] == "text-delta")


def of_type(parts: list[Part], *kinds: str) -> list[Part]:
    return [part for part in parts if part["type"] in kinds]
