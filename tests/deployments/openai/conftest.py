"""One open server with scripted engines and a provider elsewhere, for the tests that know every word."""

from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest

from tests.support.clients.openai_requests import SAID, SLOWLY, STORY
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.chat_server import FakeChatServer
from tests.support.servers.speech_server import FakeSpeechServer

WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}


@pytest.fixture(scope="package")
def app(
    running_elsewhere: FakeChatServer,
    running_remote: FakeSpeechServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    cloud = running_elsewhere.given(models=["fox-2"], context_tokens=100_000, breaker_failures=1_000)
    settings = scripted_settings(
        tmp_path_factory.mktemp("openai"),
        llm={
            "reply": STORY,
            "delta_chars": 6,
            "per_delta_ms": 4,
            "reply_to": {"slowly": SLOWLY, "sleepily": SLOWLY, "for ever": STORY * 200, "at once": "Yes."},
            "call_for": {"weather": [WEATHER], "both": [WEATHER, WEATHER], "Tell me": [WEATHER]},
        },
        tts={"fail_on": "unspeakable", "voices": ["joe", "alto"]},
        stt={"texts": [SAID]},
        language_model={"providers": {"cloud": cloud}},
        text_to_speech={"providers": {"house": running_remote.given(breaker_failures=1_000)}},
        limits={"prompt_chars": 5_000, "text_chars": 20_000, "heartbeat_s": 0.2, "upload_bytes": 3_000_000},
        openai={"grace_s": 0.2, "chat_bytes": 3_000_000, "input_chars": 4_096},
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture
async def http(app: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
        yield client
