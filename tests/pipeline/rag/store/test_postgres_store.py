"""The store on a PostgreSQL server: the same contract, and what only a server can do."""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.rag.document_library import Library, open_library
from pipeline.rag.store.passage_store import PassageStore
from pipeline.rag.store.postgres_store import PostgresStore
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId, RetrievalSettings
from tests.contracts.passage_store import BEES, DIMENSIONS, Opened, PassageStoreContract, document
from tests.pipeline.rag.store.killed_writers import whole_documents_after_kills
from tests.pipeline.rag.store.postgres_server import postgres


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres() as address:
        yield address


@asynccontextmanager
async def _open(address: str) -> AsyncGenerator[PassageStore, None]:
    store = PostgresStore(address, connections=2)
    try:
        yield store
    finally:
        await store.aclose()


class TestPostgresStore(PassageStoreContract):
    @pytest.fixture
    async def opened(self, address: str) -> Opened:
        async with _open(address) as store:
            for collection in await store.collections():
                await store.drop(collection.id)
        return lambda: _open(address)


@pytest.mark.anyio
async def test_a_writer_that_is_killed_leaves_whole_documents(address: str) -> None:
    async with _open(address) as store:
        await whole_documents_after_kills(store, f"PostgresStore({address!r}, connections=1)")


@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_said_to_be_unusable(tmp_path: Path) -> None:
    async with _open(f"postgresql://postgres@/postgres?host={tmp_path}") as store:
        with pytest.raises(RetrievalUnavailable):
            await store.collections()


@pytest.mark.anyio
async def test_a_document_that_fails_in_the_middle_leaves_the_old_one(address: str) -> None:
    async with _open(address) as store:
        which = CollectionId(new_id())
        await store.create(which, "bees", "model", DIMENSIONS)
        old = document(which, [("bees", BEES)])
        await store.put(old)
        bad = document(which, [("a", BEES), ("no text for a server: \x00", BEES)], which=old.view.id)
        with pytest.raises(RetrievalUnavailable):
            await store.put(bad)
        assert await store.text(which, old.view.id) == "bees"
        assert (await store.collection(which)).chunks == 1


@pytest.mark.anyio
async def test_one_setting_moves_the_library_to_a_server(address: str, tmp_path: Path) -> None:
    settings = RetrievalSettings(store=address, embedding="wordllama", judge=None)
    library: Library = open_library(settings, tmp_path)
    made = await library.create("bees")
    assert made in await library.store.collections()
    await library.aclose()
    assert os.listdir(tmp_path) == []
