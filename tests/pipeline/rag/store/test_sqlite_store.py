"""The embedded store: its contract, and what only a file can suffer."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipeline.rag.keywords import asked, terms
from pipeline.rag.store.passage_store import PassageStore
from pipeline.rag.store.sqlite_store import SqliteStore
from pipeline.rag.store.sqlite_tables import Connections
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId
from tests.contracts.passage_store import BEES, DIMENSIONS, Opened, PassageStoreContract, document
from tests.pipeline.rag.store.killed_writers import whole_documents_after_kills


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
@pytest.mark.server
async def test_a_writer_that_is_killed_leaves_whole_documents(file: Path) -> None:
    async with _open(file) as store:
        await whole_documents_after_kills(store, f"SqliteStore(Path({str(file)!r}), threads=1)")


@pytest.mark.anyio
async def test_a_file_that_is_no_store_is_said_to_be_unusable_and_only_the_log_says_why(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    await anyio.Path(file).write_bytes(b"this is no database, and long enough to be taken for one" * 100)
    async with _open(file) as store:
        with pytest.raises(RetrievalUnavailable) as refused:
            await store.collections()
    assert "database" not in str(refused.value)
    assert "DatabaseError SQLITE_NOTADB" in caplog.text


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


def _told(file: Path, word: bytes) -> list[str]:
    """The store's files that have the word."""
    return [path.name for path in sorted(file.parent.iterdir()) if word in path.read_bytes()]


@pytest.mark.anyio
async def test_removed_and_dropped_words_are_in_no_file_while_the_store_is_open(file: Path) -> None:
    async with _open(file) as store:
        kept, gone = CollectionId(new_id()), CollectionId(new_id())
        for collection in (kept, gone):
            await store.create(collection, "notes", "model", 4)
        removed = document(kept, [("A removedcanary in a document.", BEES)])
        await store.put(removed)
        for n in range(20):  # so that the words lie in several parts of the index
            await store.put(document(gone, [(f"A droppedcanary number {n}.", BEES)]))
            await store.put(document(kept, [(f"What stays, number {n}.", BEES)]))
        await store.remove(kept, removed.view.id)
        await store.drop(gone)
        assert await store.scrub()
        assert _told(file, b"canary") == []
        assert len(await store.documents(kept)) == 20
        assert len(await store.matching(["stays"], [kept], 50)) == 20
    assert sorted(path.name for path in file.parent.iterdir()) == ["documents.sqlite"]


@pytest.mark.anyio
async def test_text_that_was_removed_leaves_the_write_ahead_log_at_once(file: Path) -> None:
    async with _open(file) as store:
        collection = CollectionId(new_id())
        await store.create(collection, "notes", "model", 4)
        new = document(collection, [("A secretcanary in a document.", BEES)])
        await store.put(new)
        assert _told(file, b"secretcanary in a")
        await store.remove(collection, new.view.id)
        assert _told(file, b"secretcanary in a") == []


@pytest.mark.anyio
async def test_a_store_that_somebody_reads_meanwhile_says_that_something_may_be_left(file: Path) -> None:
    connections = Connections(file, 2, 0.05)
    store = SqliteStore(file, threads=2)
    collection = CollectionId(new_id())
    await store.create(collection, "notes", "model", 4)
    await store.put(document(collection, [("A canary.", BEES)]))
    with connections.reading() as db:
        db.execute("SELECT count(*) FROM documents").fetchone()
        await store.put(document(collection, [("Another.", BEES)]))
        assert not connections.scrub(words=False)
    assert connections.scrub(words=False)
    connections.close()
    await store.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("word", ["ΟΔΟΣ", "1½", "Straße", "Ｆｕｌｌ", "cel·la", "東京", "naïve", "Łódź"])
async def test_words_are_found_as_sqlite_keeps_them(file: Path, word: str) -> None:
    async with _open(file) as store:
        which = CollectionId(new_id())
        await store.create(which, "a name", "model", DIMENSIONS)
        new = document(which, [(f"before {word} after", BEES), ("beside", BEES)])
        await store.put(replace(new, terms=[terms(chunk.text, "de") for chunk in new.chunks]))
        assert len(await store.matching(asked(word), [which], 5)) == 1


@pytest.mark.anyio
async def test_the_store_is_this_users_alone_in_a_folder_that_others_may_read(file: Path) -> None:
    file.parent.mkdir(mode=0o755)
    os.close(os.open(file, os.O_CREAT, 0o644))
    async with _open(file) as store:
        await store.create(CollectionId(new_id()), "notes", "model", 4)
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "documents.sqlite-wal" in modes
