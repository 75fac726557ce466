"""Contract of retrieval services, in this process or in a replica; a class of tests for each to inherit."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.retrieval_service import RetrievalService, TextPiece
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentNotFound, DocumentUnreadable
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId, DocumentId, DocumentProgress, SearchToolConfig
from tests.support.clients.document_client import BEES

WORDS = SearchToolConfig(strategy="keyword", top_k=3)


async def added(
    retrieval: RetrievalService, collection: CollectionId, file: Path, document: DocumentId | None = None
) -> list[DocumentProgress]:
    steps = retrieval.add(collection, document or DocumentId(new_id()), UploadedDocument(file, file.name))
    async with aclosing(steps):
        return [step async for step in steps]


@pytest.mark.anyio
class LibrarianContract:
    """Subclasses have a fixture `retrieval` whose documents are embedded by wordllama, without a judge."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "bees.md"
        path.write_text(BEES)
        return path

    async def test_deleted_words_can_be_scrubbed_from_the_files(
        self, retrieval: RetrievalService, file: Path
    ) -> None:
        collection = (await retrieval.create("notes")).id
        await added(retrieval, collection, file)
        assert await retrieval.drop(collection)
        assert await retrieval.scrub()

    async def test_it_can_be_reached(self, retrieval: RetrievalService) -> None:
        await retrieval.check()

    async def test_texts_become_rows_of_length_one(self, retrieval: RetrievalService) -> None:
        rows = await retrieval.embed(["Bees fly.", "Bees dance."])
        assert rows.shape == (2, 256)
        assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-5)

    async def test_a_collection_is_made_once(self, retrieval: RetrievalService) -> None:
        view = await retrieval.create("notes")
        assert await retrieval.create("other", view.id) == view
        assert (view.name, view.documents, await retrieval.views(view.id)) == ("notes", 0, [])

    async def test_a_document_goes_in_and_is_found_and_read(
        self, retrieval: RetrievalService, file: Path
    ) -> None:
        collection = (await retrieval.create("notes")).id
        steps = await added(retrieval, collection, file)
        assert [step.state for step in steps] == ["waiting", "reading", "embedding", "embedding", "ready"]
        assert await retrieval.views(collection) == [steps[-1].view]
        [passage, *_] = await retrieval.find("combs", [collection], WORDS)
        assert passage.headings == ("The hive", "Wax")
        piece = await retrieval.text(
            collection, passage.document, passage.start, passage.end, about=passage.start
        )
        whole = steps[-1].view
        assert whole is not None
        assert piece == TextPiece(passage.start, passage.text, whole.characters, None, ("The hive", "Wax"))

    async def test_a_text_goes_no_further_than_it_goes(self, retrieval: RetrievalService, file: Path) -> None:
        collection, document = (await retrieval.create("notes")).id, DocumentId(new_id())
        await added(retrieval, collection, file, document)
        everything = await retrieval.text(collection, document, -50, 1_000_000, about=0)
        assert (everything.at, len(everything.text)) == (0, everything.characters)
        nothing = await retrieval.text(collection, document, 900_000, 1_000_000, about=900_000)
        assert (nothing.at, nothing.text) == (everything.characters, "")

    async def test_a_removed_document_is_gone(self, retrieval: RetrievalService, file: Path) -> None:
        collection, document = (await retrieval.create("notes")).id, DocumentId(new_id())
        await added(retrieval, collection, file, document)
        assert await retrieval.remove(collection, document)
        assert not await retrieval.remove(collection, document)
        assert await retrieval.find("combs", [collection], WORDS) == []
        with pytest.raises(DocumentNotFound):
            await retrieval.text(collection, document, 0, 1, about=0)
        assert await retrieval.drop(collection)
        assert not await retrieval.drop(collection)
        with pytest.raises(CollectionNotFound):
            await retrieval.views(collection)

    async def test_an_unreadable_document_is_refused_in_its_own_words(
        self, retrieval: RetrievalService, tmp_path: Path
    ) -> None:
        collection = (await retrieval.create("notes")).id
        damaged = tmp_path / "a.pdf"
        damaged.write_bytes(b"%PDF-1.4 and no more")
        with pytest.raises(DocumentUnreadable):
            await added(retrieval, collection, damaged)
        with pytest.raises(CollectionNotFound):
            await added(retrieval, CollectionId(new_id()), damaged)
        assert await retrieval.views(collection) == []

    async def test_a_large_file_arrives_whole(self, retrieval: RetrievalService, tmp_path: Path) -> None:
        collection = (await retrieval.create("notes")).id
        large = tmp_path / "large.html"
        large.write_text("<p>Bees fly.</p><!-- " + "x" * 3_000_000 + "--><p>They dance.</p>")
        steps = await added(retrieval, collection, large)
        assert steps[-1].state == "ready"
        assert len(await retrieval.find("dance", [collection], WORDS)) == 1

    async def test_an_addition_that_is_given_up_leaves_nothing(
        self, retrieval: RetrievalService, tmp_path: Path
    ) -> None:
        collection, long = (await retrieval.create("notes")).id, tmp_path / "long.txt"
        long.write_text("Bees fly over flowers. " * 40_000)
        async with aclosing(
            retrieval.add(collection, DocumentId(new_id()), UploadedDocument(long, "long.txt"))
        ) as steps:
            async for step in steps:
                if step.state == "embedding":
                    break
        async with asyncio.timeout(5):
            await retrieval.check()
        assert await retrieval.views(collection) == []
