"""The embedded store: its contract, and what only a file can suffer."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest

from pipeline.retrieval.embedding import unit
from pipeline.retrieval.sqlite_store import SqliteStore
from pipeline.retrieval.store import PassageStore
from schemas.ids import new_id
from schemas.retrieval import CollectionId
from schemas.retrieval_errors import RetrievalUnavailable
from tests.contracts.passage_store import BEES, DIMENSIONS, Opened, PassageStoreContract, document

_QUESTION = unit(np.array([BEES], np.float32))


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


_WRITER = """
import asyncio, sys
from pathlib import Path
from pipeline.retrieval.sqlite_store import SqliteStore
from tests.contracts.passage_store import BEES, document

async def write(file, which):
    store = SqliteStore(Path(file), threads=1)
    for number in range(10_000):
        await store.put(document(which, [(f"bees {number} {part}", BEES) for part in range(40)]))
        print(number, flush=True)

asyncio.run(write(*sys.argv[1:]))
"""


def _killed_after(documents: int, file: Path, which: CollectionId) -> int:
    """Kill a writer while it writes its next document; returns how many it said were there."""
    arguments = [sys.executable, "-c", _WRITER, str(file), which]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(documents)]
        writer.kill()
        told += writer.stdout.readlines()
    return len(told)


@pytest.mark.anyio
async def test_a_writer_that_is_killed_leaves_whole_documents(file: Path) -> None:
    which = CollectionId(new_id())
    async with _open(file) as store:
        await store.create(which, "bees", "model", DIMENSIONS)
        for kills in (1, 2, 3):
            told = await asyncio.to_thread(_killed_after, kills * 2, file, which)
            view = await store.collection(which)
            documents = await store.documents(which)
            assert view.documents == len(documents) >= told
            assert view.chunks == 40 * view.documents
            assert len(await store.nearest(_QUESTION, [which], 100_000)) == view.chunks
            assert len(await store.matching(["bees"], [which], 100_000)) == view.chunks
            await store.put(document(which, [(f"more bees {part}", BEES) for part in range(40)]))


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
