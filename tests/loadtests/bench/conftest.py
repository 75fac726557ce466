"""Running applications for the rows in small: one in this process, one gateway in a process of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtests.bench.rows import narration_climb, session_growth
from loadtests.servers.bare_gateway import bare_gateway, scripted_settings
from loadtests.servers.system_processes import SystemMeter
from tests.support.running_app import RunningApp, running_app
from tests.support.running_app import scripted_settings as scripts

FAST = {"first_delta_ms": 5, "per_delta_ms": 2}


@dataclass(frozen=True)
class Apart:
    """A gateway whose memory and processor time are its own."""

    url: str
    home: Path
    meter: SystemMeter


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    voice = narration_climb.VOICE | {"ms_per_char": 2.0, "first_chunk_ms": 1, "per_chunk_ms": 1}
    settings = scripts(tmp_path_factory.mktemp("bench"), llm=narration_climb.WRITER | FAST, tts=voice)
    with running_app(settings) as running:
        yield running


@pytest.fixture(scope="package")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    home = tmp_path_factory.mktemp("apart")
    settings = scripted_settings(home / "home", session_growth.SCRIPT, {})
    with bare_gateway(settings) as url, SystemMeter(settings.home) as meter:
        yield Apart(url, settings.home, meter)
