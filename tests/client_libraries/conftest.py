"""A server of scripted engines that all clients share."""

from collections.abc import Iterator

import pytest

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from tests.support.running_app import RunningApp, app_fixture, running_app, scripted_settings

STORY = "The keeper lit the lamp. The fox came in from the rain and lay down. They were friends at last."
app = app_fixture(
    "package",
    llm={
        **{"reply": STORY, "delta_chars": 4, "per_delta_ms": 5},
        "reply_to": {"at length": STORY * 12},
        "call_for": {"the tides": [{"name": "tides", "arguments": '{"harbour": "Oslo"}'}]},
    },
    session={"max_tokens": 4_096},
    tools={"functions": {"tides": {"entry_point": "tests.support.operator_functions:tides"}}},
)


@pytest.fixture(scope="package")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, list[str]]]:
    """A server that takes 6,000 characters a minute of each principal, and keys that have used none."""
    home = tmp_path_factory.mktemp("strict")
    now_ms = SystemClock().now_ms()
    keys = [create_key(home / "keys.jsonl", f"anna-{number}", now_ms=now_ms)[0] for number in range(2)]
    settings = scripted_settings(
        home, llm={"reply": STORY}, limits={"principal": {"chars_per_minute": 6_000}, "text_chars": 6_000}
    )
    with running_app(settings) as running:
        yield running, keys
