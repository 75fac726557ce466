"""Temporary files lie under home, have no names, and what was left of others is swept."""

import os
import tempfile
from pathlib import Path

import pytest

from deployments.web.spool import path_of, spool_under


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())


def test_an_upload_lies_under_home_without_a_name_and_can_be_opened(tmp_path: Path) -> None:
    spool_under(tmp_path)
    with tempfile.TemporaryFile() as file:
        file.write(b"a canary")
        file.flush()
        assert os.readlink(f"/proc/self/fd/{file.fileno()}").startswith(str(tmp_path / "spool"))
        assert list((tmp_path / "spool").iterdir()) == []
        assert path_of(file.fileno()).read_bytes() == b"a canary"


def test_files_of_a_day_ago_are_removed_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "old").write_bytes(b"left")
    (folder / "new").write_bytes(b"in use")
    os.utime(folder / "old", (0, 0))
    spool_under(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_a_home_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    (tmp_path / "home").write_bytes(b"a file")
    spool_under(tmp_path / "home")
    assert tempfile.gettempdir() == before
