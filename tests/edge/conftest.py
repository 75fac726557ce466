"""One running application for the tests of the faces, on a real embedded log."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.edge.listeners import SCENES
from tests.support import RunningApp, running_app, scripted_settings

STORY = (
    "Once upon a time there was a lighthouse keeper, old and kind. Every night he lit the great lamp. "
    'One evening a small red fox came to his door! "Who are you?" asked the keeper. '
    "The fox said nothing, but sat down by the fire. So they became friends."
)


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("edge")
    settings = scripted_settings(
        home,
        llm={"reply": STORY, "delta_chars": 6, "per_delta_ms": 4, "reply_to": {"slowly": STORY * 6}},
        limits={"body_bytes": 100_000, "prompt_chars": 2_000, "queued_turns": 2, "heartbeat_s": 0.2},
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture
async def http(app: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
        yield client


@pytest.fixture
async def story(http: httpx.AsyncClient) -> str:
    return str((await http.post("/api/stories", json={})).json()["id"])


@pytest.fixture
async def scene(http: httpx.AsyncClient, story: str) -> str:
    made = await http.post(SCENES.format(story=story), json={"content": "A short scene, which is enough."})
    return str(made.json()["id"])
