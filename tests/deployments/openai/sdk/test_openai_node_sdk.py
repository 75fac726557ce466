"""The stock `openai` package for Node; npm brings it, so these tests need npm's registry or its cache."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients.openai_requests import SAID, STORY, spoken
from tests.support.running_app import RunningApp

SCRIPT: Final = Path(__file__).parent / "js" / "client.mjs"
PACKAGE: Final = "openai@7.57.0"
"""It depends on nothing."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    options = ["--prefix", folder, "--legacy-peer-deps", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(
        ["npm", "install", *options, PACKAGE], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        pytest.skip(f"npm could not bring {PACKAGE}: {done.stderr[-300:]}")
    shutil.copy(SCRIPT, folder)
    return folder


def test_the_package_for_node_works_unchanged(app: RunningApp, place: Path) -> None:
    sound = place / "card.wav"
    sound.write_bytes(spoken())
    told = {"BASE_URL": f"{app.url}/v1", "SOUND": str(sound), "STORY": STORY, "SAID": SAID}
    done = subprocess.run(
        ["node", "--test", place / SCRIPT.name],
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
