"""One running application that answers with the question, for all load that is put on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.servers.rhapsode_process import SCRIPTS
from tests.support.running_app import RunningApp, running_app, scripted_settings


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("load")
    paced = {name: dict(script) for name, script in SCRIPTS.items()}
    paced["language_model"] |= {"first_delta_ms": 5, "per_delta_ms": 2}
    settings = scripted_settings(
        home,
        llm=paced["language_model"],
        tts={"first_chunk_ms": 5, "per_chunk_ms": 2, "ms_per_char": 4},
        stt=paced["speech_to_text"],
        limits={"heartbeat_s": 0.2},
    )
    with running_app(settings) as running:
        yield running
