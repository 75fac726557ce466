"""The images as far as can be told without building them, which takes many minutes: "make images"."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.local import up
from tests.test_layout import ROOT

IMAGES = ROOT / "cluster" / "images"
NAMES = ("gateway", "llm", "speech")


def _said(name: str) -> list[str]:
    """The instructions of a Containerfile, one a line."""
    text = re.sub(r"^\s*#.*\n", "", (IMAGES / name / "Containerfile").read_text(), flags=re.MULTILINE)
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_a_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.is_file():
        pytest.skip("hadolint is not installed")
    files = [IMAGES / name / "Containerfile" for name in NAMES]
    checked = subprocess.run(
        [linter, "--config", IMAGES / "hadolint.yaml", *files], capture_output=True, check=False, text=True
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_as_nobody_and_copies_what_there_is(name: str) -> None:
    said = _said(name)
    assert [line for line in said if line.startswith("USER")][-1] == "USER 10001:10001"
    bases = [line.split()[1] for line in said if line.startswith("FROM")]
    pinned = dict(
        line.removeprefix("ARG ").split("=") for line in said if line.startswith("ARG") and "=" in line
    )
    for base in bases:
        assert re.search(r":\d+\.\d+\.\d+", pinned[base.strip("${}")]), f"{base} has no version"
    shown = (IMAGES / name / "Containerfile.dockerignore").read_text().splitlines()
    for line in said:
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), f"{source} is not here"
                assert f"!{source.partition('/')[0]}" in shown, f"the build does not see {source}"


@pytest.mark.parametrize(
    "name",
    [f"requirements/{file}.txt" for file in ("runtime", "weights", "piper", "cluster")],
)
def test_every_package_of_the_gateway_is_pinned_by_its_bytes(name: str) -> None:
    assert any(name in line for line in _said("gateway") if line.startswith("RUN"))
    pins = (ROOT / name).read_text()
    for block in re.split(r"^(?=\S+==)", pins, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block


def test_a_token_may_be_as_long_as_on_one_machine() -> None:
    """Serve's proxy reads the handshakes of WebSockets, and has no setting of its own for it."""
    name = "WEBSOCKETS_MAX_LINE_LENGTH"
    assert any(f"{name}={up._RAY[name]} " in line for line in _said("gateway") if line.startswith("ENV"))
    assert f"export {name}={up._RAY[name]}\n" in (ROOT / "docs" / "operating.md").read_text()


def test_the_same_python_is_under_all_of_them() -> None:
    """Ray refuses nodes whose Python differs, even in its last digit."""
    assert sum("python:" in line for name in NAMES for line in _said(name)) == 1
