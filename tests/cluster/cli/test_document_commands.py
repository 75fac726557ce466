"""`rhapsode documents` at a running system."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cluster.cli.main import app as cli
from cluster.client import document_transfer
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from tests.support.clients.document_client import BEES, Shelves

pytestmark = pytest.mark.anyio


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def steps(said: io.StringIO) -> Steps:
    return Steps(Console(file=said, width=200))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bees.md").write_text(BEES)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "song.mp3").write_bytes(b"la la la")
    return tmp_path


async def test_files_are_added_listed_searched_and_removed(
    shelves: Shelves, folder: Path, steps: Steps, said: io.StringIO
) -> None:
    url, name = shelves.app.url, f"Bees of {folder.name}"
    with pytest.raises(CliError, match=r"Not added: broken\.pdf"):
        await document_transfer.add(url, name, document_transfer.files_of([folder]), steps)
    assert "The hive, 2 passages" in said.getvalue()
    assert "document.unreadable" in said.getvalue()
    await shelves.until_listed(await _id_of(shelves, name))
    [shown] = await document_transfer.listed(url, name)
    assert [(one["name"], one["state"]) for one in shown["contents"]] == [
        ("bees.md", "ready"),
        ("broken.pdf", "failed"),
    ]
    [passage] = await document_transfer.search(
        url, name, {"question": "combs", "strategy": "keyword", "top_k": 1}
    )
    assert passage["headings"] == ["The hive", "Wax"]
    await document_transfer.add(url, name, [folder / "bees.md"], steps)
    [shown] = await document_transfer.listed(url, name)
    assert [one["name"] for one in shown["contents"]] == ["bees.md", "broken.pdf"]
    assert (
        await document_transfer.remove(url, name, ["bees.md", "broken.pdf"], False) == "bees.md, broken.pdf"
    )
    [shown] = await document_transfer.listed(url, name)
    assert shown["contents"] == []
    assert await document_transfer.remove(url, shown["id"], [], True)
    with pytest.raises(CliError, match="no collection"):
        await document_transfer.listed(url, shown["id"])


async def _id_of(shelves: Shelves, name: str) -> str:
    while True:
        for one in (await shelves.get("/v1/collections"))["collections"]:
            if one["name"] == name:
                return str(one["id"])


async def test_every_impossible_wish_is_explained(shelves: Shelves, folder: Path, steps: Steps) -> None:
    url = shelves.app.url
    with pytest.raises(CliError, match="no collection Nowhere"):
        await document_transfer.search(url, "Nowhere", {"question": "a"})
    with pytest.raises(CliError, match="Say which documents"):
        await document_transfer.remove(url, "Nowhere", [], False)
    with pytest.raises(CliError, match="There is no"):
        document_transfer.files_of([folder / "absent.pdf"])
    (folder / "empty").mkdir()
    with pytest.raises(CliError, match="no documents in"):
        document_transfer.files_of([folder / "empty"])
    collection = await shelves.create("refusing")
    with pytest.raises(CliError, match="damaged"):
        await document_transfer.add(url, collection, [folder / "broken.pdf"], steps)
    with pytest.raises(CliError, match="no document x"):
        await document_transfer.remove(url, collection, ["x"], False)


@pytest.mark.parametrize("command", ["add", "list", "search", "remove"])
def test_every_command_teaches_itself(command: str) -> None:
    told = CliRunner().invoke(cli, ["documents", command, "--help"])
    assert told.exit_code == 0
    assert f"Example: rhapsode documents {command}" in " ".join(told.output.split())
