"""On Ray, a call that stays open for the next sentence is one call, ends by itself, and keeps no replica."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.local.up import _RAY
from cluster.terminal.run_state import RunState

pytestmark = [pytest.mark.serve, pytest.mark.timeout(400)]


def ray_of(running: RunState) -> str:
    """The address at which its Ray is joined."""
    launcher = running.launcher.find()
    assert launcher is not None
    [raylet] = [child for child in launcher.children() if child.name() == "raylet"]
    [address] = [found[1] for part in raylet.cmdline() if (found := re.match("--gcs-address=(.*)", part))]
    return address


@pytest.fixture(scope="module")
def told(running: RunState, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("voice_calls")
    token = {"RAY_AUTH_TOKEN_PATH": str(Path(environment["RHAPSODE_HOME"], "ray-token"))}
    command = [sys.executable, "-m", "tests.serve.voice_calls", str(folder), ray_of(running)]
    done = subprocess.run(
        command,
        env={**environment, **_RAY, **token},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "told.json").read_text())


def test_eight_sentences_are_one_call_that_serve_counts_until_it_ends_by_itself(told: Any) -> None:
    assert told["then"] == [1, 1]
    assert len(told["spoken_ms"]) == 8
    assert set(told["spoken_ms"]) == {told["spoken_ms"][0]}


def test_a_replica_that_is_replaced_leaves_between_two_sentences(told: Any) -> None:
    assert told["errors"] == []
    assert told["sentences"] > 0
