"""The embedded store: its contract, and what only a file can suffer."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from pipeline.retrieval.sqlite_store import SqliteStore
from pipeline.retrieval.store import PassageStore
from schemas.retrieval_errors import RetrievalUnavailable
from tests.contracts.passage_store import Opened, PassageStoreContract
from tests.retrieval.killing import whole_documents_after_kills


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "documents.sqlite"


@asynccontextmanager
async def _open(file: Path, kept_bytes: int = 1_000_000) -> AsyncGenerator[PassageStore, None]:
    store = SqliteStore(file, threads=2, kept_bytes=kept_bytes)
    try:
        yield store
    finally:
        await store.aclose()


class TestSqliteStore(PassageStoreContract):
    @pytest.fixture
    def opened(self, file: Path) -> Opened:
        return lambda: _open(file)


class TestSqliteStoreWithoutMemory(PassageStoreContract):
    """Collections too large to be kept are read for each question."""

    @pytest.fixture
    def opened(self, file: Path) -> Opened:
        return lambda: _open(file, kept_bytes=0)


@pytest.mark.anyio
async def test_a_writer_that_is_killed_leaves_whole_documents(file: Path) -> None:
    async with _open(file) as store:
        await whole_documents_after_kills(store, f"SqliteStore(Path({str(file)!r}), threads=1)")


@pytest.mark.anyio
async def test_a_file_that_is_no_store_is_said_to_be_unusable(file: Path) -> None:
    file.parent.mkdir()
    await anyio.Path(file).write_bytes(b"this is no database, and long enough to be taken for one" * 100)
    async with _open(file) as store:
        with pytest.raises(RetrievalUnavailable):
            await store.collections()


@pytest.mark.anyio
async def test_a_store_of_another_version_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    async with _open(file) as store:
        with pytest.raises(RetrievalUnavailable, match="version 99"):
            await store.collections()


@pytest.mark.anyio
async def test_several_may_make_the_store_at_once(file: Path) -> None:
    async with asyncio.TaskGroup() as openers, _open(file) as one, _open(file) as other:
        for store in (one, other, one, other):
            openers.create_task(store.collections())
