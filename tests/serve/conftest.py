"""The whole application on a Ray of its own, started as an operator would: `rhapsode up`."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtests.target import rhapsode

STORY = "The keeper lit the lamp, and the fox watched the sea until the morning came. " * 6


@pytest.fixture(scope="package")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("serve")
    script = home / "script.json"
    script.write_text(json.dumps({"reply": STORY, "delta_chars": 5, "per_delta_ms": 25}))
    environment = {"RHAPSODE_LANGUAGE_MODEL__SCRIPT": str(script)}
    with rhapsode(home / "home", environment=environment, scripted=True) as running:
        yield running
    assert not replicas("Gateway", home), "a replica outlived its system"


def replicas(deployment: str, home: Path | None = None) -> list[psutil.Process]:
    """The live replica processes of one deployment on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline", "create_time"]):
        title = " ".join(process.info["cmdline"] or [])
        if title.startswith(f"ray::ServeReplica:rhapsode:{deployment}"):
            found.append(process)
    return found
