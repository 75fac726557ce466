"""One open server with scripted engines, and the stock `openai` package as its client."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.support.clients.openai_requests import SLOWLY, STORY
from tests.support.running_app import RunningApp, app_fixture

WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
app = app_fixture(
    "package",
    llm={
        "reply": STORY,
        "delta_chars": 6,
        "per_delta_ms": 4,
        "reply_to": {"slowly": SLOWLY, "for ever": STORY * 200, "at once": "Yes."},
        "fail_on": "break off",
        "call_for": {"weather": [WEATHER], "both": [WEATHER, WEATHER], "Tell me": [WEATHER]},
    },
    limits={"prompt_chars": 5_000, "text_chars": 20_000, "heartbeat_s": 0.2},
    openai={"grace_s": 0.2},
)


@pytest.fixture
def client(app: RunningApp) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client
