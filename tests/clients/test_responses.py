"""Clients whose default is OpenAI's Responses API, unchanged but for their base URL."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.conftest import RunClient

_NODE: Final = Path(__file__).parent / "responses"
_SEEN: Final = {
    "results": ["It rains in Oslo."],
    "answer": "Take an umbrella.",
    "streamed": "Take an umbrella.",
    "city": "Oslo",
    "after": "All is well.",
}
"""A called function, the answer to its result (whole, then streamed), a typed answer, and a later answer."""

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("client", ["agents_sdk", "pydantic_ai", "langchain"])
def test_a_python_client_calls_streams_types_and_goes_on(
    asked: dict[str, Any], run_client: RunClient, client: str
) -> None:
    assert run_client("openai_responses.py", client, **asked) == _SEEN


@pytest.mark.parametrize("client", ["agents", "ai_sdk"])
def test_a_javascript_client_calls_streams_types_and_goes_on(asked: dict[str, Any], client: str) -> None:
    if not (_NODE / "node_modules").is_dir():
        pytest.skip('the clients are not installed: "make env-clients"')
    command = ["node", "agents.js", client, asked["url"], asked["key"], asked["question"]]
    done = subprocess.run(command, cwd=_NODE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == _SEEN
