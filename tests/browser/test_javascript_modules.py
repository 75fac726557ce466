"""The page's pure modules, tested where they run: in JavaScript."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.server
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_pages_pure_modules_keep_their_promises() -> None:
    files = sorted(str(path) for path in (HERE / "js").glob("*.test.mjs"))
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
