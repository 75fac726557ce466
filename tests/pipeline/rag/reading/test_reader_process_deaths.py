"""A document's reader is a process of its own, and processes die of more than documents."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import child_processes
from pipeline.rag.reading import document_reader
from pipeline.rag.reading.document_reader import DocumentReader, UploadedDocument
from schemas.errors.retrieval_errors import DocumentUnreadable
from schemas.settings.retrieval_settings import ReadingLimits
from tests.pipeline.rag.reading import curious_child, dying_child

pytestmark = pytest.mark.anyio


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in here for each death to come."""
    folder = tmp_path / "deaths"
    folder.mkdir()
    monkeypatch.setenv(dying_child.DEATHS, str(folder))
    monkeypatch.setattr(document_reader, "_CHILD", dying_child.__name__)
    monkeypatch.setattr(child_processes, "_ENVIRONMENT", (*child_processes._ENVIRONMENT, dying_child.DEATHS))
    return folder


@pytest.fixture
def upload(tmp_path: Path) -> UploadedDocument:
    path = tmp_path / "bees.txt"
    path.write_text("Bees dance.")
    return UploadedDocument(path, "bees.txt")


def left(deaths: Path) -> list[str]:
    return [death.name for death in deaths.iterdir()]


async def test_a_document_whose_reader_was_killed_is_read_all_the_same(
    deaths: Path, upload: UploadedDocument
) -> None:
    (deaths / "only").touch()
    read = await DocumentReader(ReadingLimits(), 1).read(upload)
    assert read.extracted.text == "Bees dance."
    assert left(deaths) == []


async def test_a_document_that_kills_whoever_reads_it_is_damaged(
    deaths: Path, upload: UploadedDocument
) -> None:
    for death in "abc":
        (deaths / death).touch()
    with pytest.raises(DocumentUnreadable, match="status -9"):
        await DocumentReader(ReadingLimits(), 1).read(upload)
    assert left(deaths) == ["c"]


async def test_a_reader_has_none_of_the_servers_secrets_and_no_network(
    upload: UploadedDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHAPSODE_AUTH__JWT_SECRET", "a secret of the server")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    monkeypatch.setattr(document_reader, "_CHILD", curious_child.__name__)
    read = await DocumentReader(ReadingLimits(), 1).read(upload)
    seen = json.loads(read.extracted.text)
    assert set(seen["variables"]) <= {*child_processes._ENVIRONMENT, "LC_CTYPE"}  # which Python sets itself
    assert seen["left"] == may_leave_network()
    if seen["left"]:
        assert seen["interfaces"] == ["lo"]


def may_leave_network() -> bool:
    """Whether the kernel lets a process of this user do that here."""
    asked = [
        sys.executable,
        "-c",
        "from pipeline.rag.reading.reader_process import leave_network as l; exit(not l())",
    ]
    return subprocess.run(asked, check=False, timeout=60).returncode == 0
