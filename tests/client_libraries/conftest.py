"""A server of scripted engines that all clients share."""

from collections.abc import Iterator

import pytest

from tests.support.running_app import RunningApp, running_app, scripted_settings

STORY = "The keeper lit the lamp. The fox came in from the rain and lay down. They were friends at last."


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("client"), llm={"reply": STORY, "delta_chars": 4, "per_delta_ms": 5}
    )
    with running_app(settings) as running:
        yield running
