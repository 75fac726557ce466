"""One running application that speaks the Realtime API, with scripted engines on a real log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running_app import RunningApp, running_app, scripted_settings

ANSWER = "The lamp is lit every evening at eight. A small fox comes by when it rains. It stays by the fire."
SLOWLY = ANSWER * 6


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("realtime")
    settings = scripted_settings(
        home,
        llm={
            "reply": ANSWER,
            "delta_chars": 6,
            "per_delta_ms": 4,
            "reply_to": {"slowly": SLOWLY, "for ever": ANSWER * 200, "echo": "You said so."},
            "call_for": {"weather": [{"name": "weather", "arguments": '{"city": "Kiel"}'}]},
        },
        stt={"texts": ["Please tell me a story."], "per_request_ms": 5},
        limits={"heartbeat_s": 0.2, "rejoin_s": 0.3},
        session={"max_tokens": 4_000},
    )
    with running_app(settings) as running:
        yield running
