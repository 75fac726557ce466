"""An engine from another package is found by its entry point, passes the contract suite, and speaks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "custom_voice"
SPEAK = """
import anyio
from contextlib import aclosing
from pathlib import Path
from cluster.checks.config import default_file, load
from pipeline.engines.registry import build_text_to_speech

settings = load(default_file()).settings.text_to_speech

async def main():
    voice = build_text_to_speech(settings, Path())
    async with aclosing(voice.synthesize("Good morning.", voice="tones")) as pieces:
        print(len([piece async for piece in pieces]), voice._pitch_hz)

anyio.run(main)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the example in it; its source is copied, since a build writes beside it."""
    place = tmp_path_factory.mktemp("plugin")
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "rhapsode_tones.py"):
        (source / name).write_bytes((PACKAGE / name).read_bytes())
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    where = ("--target", str(place / "packages"), str(source))
    subprocess.run([sys.executable, "-m", "pip", "install", *flags, *where], check=True)
    return place / "packages"


def run(installed: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{installed}:{ROOT}", **variables}
    words = [sys.executable, *command]
    return subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_installed_engine_is_chosen_by_its_name_with_its_own_options(installed: Path) -> None:
    done = run(
        installed,
        "-c",
        SPEAK,
        RHAPSODE_TEXT_TO_SPEECH__ENGINE="tones",
        RHAPSODE_TEXT_TO_SPEECH__OPTIONS='{"pitch_hz": 440}',
        RHAPSODE_SESSION__VOICE="tones",
    )
    assert done.returncode == 0, done.stderr
    pieces, pitch_hz = done.stdout.split()
    assert int(pieces) > 3
    assert float(pitch_hz) == 440


def test_an_engine_that_is_not_installed_is_named_with_those_that_are(installed: Path) -> None:
    done = run(installed, "-c", SPEAK, RHAPSODE_TEXT_TO_SPEECH__ENGINE="tone")
    assert "there is no engine 'tone'; there are" in done.stderr
    assert "tones" in done.stderr


def test_the_example_passes_the_contract_suite_that_other_packages_import(installed: Path) -> None:
    suite = str(PACKAGE / "test_rhapsode_tones.py")
    done = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite)
    assert done.returncode == 0, done.stdout
    assert "13 passed" in done.stdout
