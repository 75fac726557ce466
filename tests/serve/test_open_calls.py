"""On Ray, a call that stays open for the next sentence is one call, ends by itself, and keeps no replica."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.serve, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def told() -> Any:
    with tempfile.TemporaryDirectory(prefix="voice-calls-") as folder:  # short: Ray's sockets are in it
        token = Path(folder, "token")
        token.write_text(secrets.token_hex(32))
        environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(token)}
        command = [sys.executable, "-m", "tests.serve.voice_calls", folder]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(Path(folder, "told.json").read_text())


def test_eight_sentences_are_one_call_that_serve_counts_until_it_ends_by_itself(told: Any) -> None:
    assert told["then"] == [1, 1]
    assert len(told["spoken_ms"]) == 8
    assert set(told["spoken_ms"]) == {told["spoken_ms"][0]}


def test_a_replica_that_is_replaced_leaves_between_two_sentences(told: Any) -> None:
    assert told["errors"] == []
    assert told["sentences"] > 0
