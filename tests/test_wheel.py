"""The wheel works in another folder than the repository: all that the program opens is in it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from schemas.version import VERSION
from tests.test_layout import ROOT

pytestmark = pytest.mark.server
CODE = ("schemas", "pipeline", "deployments", "cluster", "loadtests")
PLACES = {
    "web": "deployments/page",
    "clients/javascript": "deployments/page/client",
    "clients/python/rhapsode": "rhapsode",
}
"""Folders that lie elsewhere in the wheel."""
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "serve_config.yaml", "requirements/weights.txt")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in (*CODE, *PLACES):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=skip)
    (source / "requirements").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [file] = built.iterdir()
    return file


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content alone: ahead of the checkout on the path of a process."""
    place = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    return place


def rhapsode(elsewhere: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RHAPSODE_")}
    environment |= {"PYTHONPATH": str(elsewhere), "RHAPSODE_HOME": str(cwd / "home")}
    command = [sys.executable, "-m", "cluster.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_every_file_that_is_no_program_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = []
    for name in (*CODE, *PLACES):
        for file in (ROOT / name).rglob("*"):
            inside = file.relative_to(ROOT / name)
            packed = f"{PLACES.get(name, name)}/{inside}"
            if file.is_file() and "__pycache__" not in inside.parts and packed not in names:
                missing.append(f"{name}/{inside}")
    assert missing == []
    assert {"cluster/serve_config.yaml", "cluster/weights.txt", "deployments/page/index.html"} <= names


def test_its_metadata_say_what_it_is(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel)
    told = message_from_bytes(packed.read(f"rhapsode-{VERSION}.dist-info/METADATA"))
    assert (told["License-Expression"], told["Version"]) == ("MIT", VERSION)
    assert told.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert told.get_all("Classifier")
    assert {"rhapsode/__init__.py", "rhapsode/py.typed"} <= set(packed.namelist())
    assert {"piper", "s3", "load", "postgres", "telephony"} <= set(told.get_all("Provides-Extra") or ())
    required = [one for one in told.get_all("Requires-Dist") or () if "extra ==" not in one]
    assert not [one for one in required if "piper" in one]  # GPL-3.0: an extra


def test_the_packaged_configuration_is_found_from_another_folder(elsewhere: Path, tmp_path: Path) -> None:
    done = rhapsode(elsewhere, tmp_path, "doctor", "--json")
    checks = {one["name"]: one for one in json.loads(done.stdout)}
    assert checks["config"]["verdict"] == "ok"
    assert checks["config"]["found"].startswith(str(elsewhere / "cluster" / "serve_config.yaml"))


@pytest.mark.parametrize("name", ["serve_config.yaml", "cluster.yaml"])
def test_packaged_files_are_checked_from_another_folder(elsewhere: Path, tmp_path: Path, name: str) -> None:
    done = rhapsode(elsewhere, tmp_path, "check-config", str(elsewhere / "cluster" / name))
    assert (done.returncode, "is right" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_page_and_the_version_come_from_it(elsewhere: Path, tmp_path: Path) -> None:
    assert rhapsode(elsewhere, tmp_path, "--version").stdout == f"rhapsode {VERSION}\n"
    code = "from deployments.asgi_app import WEB; assert (WEB / 'index.html').is_file(); print(WEB)"
    environment = {**os.environ, "PYTHONPATH": str(elsewhere)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(elsewhere / "deployments" / "page")
