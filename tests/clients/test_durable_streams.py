"""The conformance tests of Durable Streams, as their authors publish them, against a server of ours."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.running_app import running_app, scripted_settings

_SUITE: Final = Path(__file__).parent / "durable_streams"
_VITEST: Final = _SUITE / "node_modules" / ".bin" / "vitest"
PASSED: Final = 332
"""Six more are of the optional subscriptions, which the suite leaves out unless it is told."""

pytestmark = pytest.mark.timeout(300)


def test_the_suite_passes_whole(tmp_path: Path) -> None:
    if not _VITEST.exists():
        pytest.skip('the suite is not installed: "make env-clients"')
    # One of the tests asks from a page of this origin.
    settings = scripted_settings(tmp_path / "home", auth={"allowed_origins": ["https://example.com"]})
    report = tmp_path / "report.json"
    with running_app(settings) as app:
        environment = {**os.environ, "STREAMS_URL": f"{app.url}/v1/durable"}
        command = [_VITEST, "run", "--reporter=json", f"--outputFile={report}"]
        subprocess.run(command, cwd=_SUITE, env=environment, timeout=280, check=False)
    found = json.loads(report.read_text())
    results = [result for file in found["testResults"] for result in file["assertionResults"]]
    failed = {each["fullName"]: each["failureMessages"] for each in results if each["status"] == "failed"}
    assert failed == {}
    assert found["numPassedTests"] == PASSED
