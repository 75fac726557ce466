"""An application in which something goes wrong, soon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.clients.native_speaker import austen, silence
from tests.support.running_app import RunningApp, running_app, scripted_settings

SPEECH = silence(300) + austen() + silence(1_200)
TEXT = "Say something."


@contextmanager
def an_app(home: Path, *, stt: dict[str, Any] | None = None, **changes: Any) -> Iterator[RunningApp]:
    limits = {"rejoin_s": 0.3, **changes.pop("limits", {})}
    script = {"texts": [TEXT], **(stt or {})}
    settings = scripted_settings(home, llm={"reply": "Something."}, stt=script, limits=limits, **changes)
    with running_app(settings) as app:
        yield app
