"""The page's pure modules, tested where they run: in JavaScript."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
CHANGE_GLOBALS = [file for file in FILES if re.search("timers|globalThis", file.read_text())]
"""Each of them has a process of its own; the others share one, for a process takes longer than its tests."""


@pytest.mark.server
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    "files", [[file for file in FILES if file not in CHANGE_GLOBALS], *([file] for file in CHANGE_GLOBALS)]
)
def test_the_pages_pure_modules_keep_their_promises(files: list[Path]) -> None:
    imports = "".join(f"import {json.dumps(file.as_uri())};\n" for file in files)
    command = ["node", "--input-type=module", "--eval", imports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert told is not None
    assert int(told[1]) >= sum(
        len(re.findall(r"^ *test\(", file.read_text(), re.MULTILINE)) for file in files
    )
