"""One running application that listens, with scripted ears, tongue and voice, on a real log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import RunningApp, running_app, scripted_settings
from tests.voice.hesitating import Hesitating

ANSWER = (
    "Of course I can do that for you. It is a fine day for it, and the road is dry. Let us begin at once."
)
REPLIES = {"slowly": ANSWER * 6, "at length": ANSWER * 24, "for ever": ANSWER * 200}


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("voice")
    settings = scripted_settings(
        home,
        llm={"reply": ANSWER, "delta_chars": 6, "per_delta_ms": 4, "reply_to": REPLIES},
        stt={"texts": ["Please tell me a story."], "per_request_ms": 5},
        limits={"heartbeat_s": 0.2, "rejoin_s": 0.3},
        session={"max_tokens": 4_000},
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture
def hesitating(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> Hesitating:
    """Its ears wait to be told to go on."""
    return Hesitating(app, monkeypatch)
