"""Documents go in and passages come out: the whole way, with the packaged models."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import get_args

import pytest

from loadtests.bench.retrieval import retrieval_bench
from loadtests.bench.retrieval.question_library import questions
from loadtests.bench.retrieval.retrieval_bench import DEPTH, filled, rank_of_answer
from pipeline.rag.document_library import Library, open_library
from pipeline.rag.reading.document_reader import UploadedDocument
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentUnreadable, RetrievalUnavailable
from schemas.ids import new_id
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    DocumentProgress,
    RetrievalSettings,
    SearchToolConfig,
    Strategy,
)
from tests.pipeline.rag.conftest import Uploaded

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
_QUICK = RetrievalSettings(embedding="wordllama", judge=None)
_BEES = SearchToolConfig(strategy="vector", top_k=3)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncGenerator[Library, None]:
    opened = open_library(_QUICK, tmp_path / "home")
    yield opened
    await opened.aclose()


async def _added(
    library: Library, collection: CollectionId, upload: UploadedDocument
) -> list[DocumentProgress]:
    async with aclosing(library.add(collection, DocumentId(new_id()), upload)) as steps:
        return [step async for step in steps]


async def test_an_upload_tells_how_far_it_is(library: Library, uploaded: Uploaded) -> None:
    collection = (await library.create("notes")).id
    text = "\n\n".join(f"Paragraph {number} is about bees. " * 25 for number in range(60))
    steps = await _added(library, collection, uploaded("many notes.txt", text.encode()))
    assert [step.state for step in steps[:2]] == ["waiting", "reading"]
    assert {step.state for step in steps[2:-1]} == {"embedding"}
    assert len(steps) > 5
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    view = steps[-1].view
    assert (steps[-1].state, steps[-1].done) == ("ready", 1.0)
    assert view is not None
    assert (view.title, view.name, view.language) == ("many notes", "many notes.txt", "en")
    assert await library.store.documents(collection) == [view]


async def test_a_passage_is_exactly_its_place_in_the_document(library: Library, uploaded: Uploaded) -> None:
    collection = (await library.create("notes")).id
    await _added(
        library,
        collection,
        uploaded("a.md", b"# Hive\n\nBees fly. \xf0\x9f\x90\x9d\n\n## Wax\n\nBees build."),
    )
    for strategy in ("vector", "keyword", "hybrid", "two_stage"):
        found = await library.find("bees", [collection], SearchToolConfig(strategy=strategy, top_k=9))
        assert {passage.headings for passage in found} == {("Hive",), ("Hive", "Wax")}
        assert [passage.score for passage in found] == sorted((one.score for one in found), reverse=True)
        for passage in found:
            text = await library.store.text(collection, passage.document)
            assert text[passage.start : passage.end] == passage.text
            assert (passage.strategy, passage.media_type) == (strategy, "text/markdown")


async def test_a_document_that_cannot_be_read_leaves_nothing(library: Library, uploaded: Uploaded) -> None:
    collection = (await library.create("notes")).id
    with pytest.raises(DocumentUnreadable):
        await _added(library, collection, uploaded("a.pdf", b"%PDF-1.4 and no more"))
    assert await library.store.documents(collection) == []


async def test_an_upload_that_is_given_up_leaves_the_document_as_it_was(
    library: Library, uploaded: Uploaded
) -> None:
    collection, document = (await library.create("notes")).id, DocumentId(new_id())
    for text, last in [("old bees", "ready"), ("new bees", "embedding")]:
        async with aclosing(library.add(collection, document, uploaded("a.txt", text.encode()))) as steps:
            async for step in steps:
                if step.state == last:
                    break
    assert await library.store.text(collection, document) == "old bees"


async def test_a_collection_must_be_there(library: Library, uploaded: Uploaded) -> None:
    nowhere = CollectionId(new_id())
    with pytest.raises(CollectionNotFound):
        await _added(library, nowhere, uploaded("a.txt", b"bees"))
    for strategy in get_args(Strategy):
        with pytest.raises(CollectionNotFound):
            await library.find("bees", [nowhere], SearchToolConfig(strategy=strategy))


@pytest.mark.parametrize("question", ["", "  ", "?", "\x00", "a" * 100_000, "👍", "ſ" * 3_000])
async def test_any_question_may_be_asked(library: Library, uploaded: Uploaded, question: str) -> None:
    collection = (await library.create("notes")).id
    await _added(library, collection, uploaded("a.txt", b"bees"))
    for strategy in ("vector", "keyword", "hybrid", "two_stage"):
        assert len(await library.find(question, [collection], SearchToolConfig(strategy=strategy))) <= 1
    assert await library.find(question, [], _BEES) == []


async def test_collections_of_different_models_are_searched_together(
    tmp_path: Path, uploaded: Uploaded
) -> None:
    made = []
    for embedding, text in [("wordllama", b"Bees make honey."), ("e5", b"Honey is made by bees.")]:
        library = open_library(RetrievalSettings(embedding=embedding, judge=None), tmp_path)
        made.append((await library.create(embedding)).id)
        await _added(library, made[-1], uploaded("a.txt", text))
        await library.aclose()
    library = open_library(_QUICK, tmp_path)
    found = await library.find("honey", made, _BEES)
    assert {passage.collection for passage in found} == set(made)
    await library.aclose()


async def test_a_collection_of_a_model_that_is_not_here_is_not_searched_by_another(library: Library) -> None:
    collection = CollectionId(new_id())
    await library.store.create(collection, "old", "a model of yesterday", 256)
    with pytest.raises(RetrievalUnavailable, match="a model of yesterday"):
        await library.find("bees", [collection], _BEES)
    assert await library.find("bees", [collection], SearchToolConfig(strategy="keyword")) == []


async def test_a_collection_may_grow_while_it_is_searched(library: Library, uploaded: Uploaded) -> None:
    collection = (await library.create("notes")).id
    upload = uploaded("a.txt", b"bees")

    async def search() -> None:
        for _ in range(20):
            found = await library.find("bees", [collection], SearchToolConfig(strategy="hybrid", top_k=50))
            assert all(passage.text == "bees" for passage in found)

    async with asyncio.TaskGroup() as all_at_once:
        all_at_once.create_task(search())
        for _ in range(4):
            all_at_once.create_task(_added(library, collection, upload))
    assert (await library.store.collection(collection)).documents == 4


async def test_questions_to_the_library_are_answered_and_cited_as_well_as_measured(tmp_path: Path) -> None:
    """docs/retrieval.md has the figures; here is what must not get lost."""
    library = open_library(RetrievalSettings(), tmp_path)
    collection = (await library.create("library")).id
    names = await filled(library, collection, tmp_path)
    least: dict[Strategy, tuple[float, float]] = {
        "keyword": (0.55, 0.75),
        "vector": (0.78, 0.90),
        "hybrid": (0.65, 0.88),
        "two_stage": (0.78, 0.92),
    }
    for strategy, (first, fifth) in least.items():
        config = SearchToolConfig(strategy=strategy, top_k=DEPTH)
        ranks = [
            rank_of_answer(one, await library.find(one.question, [collection], config), names)
            for one in questions()
        ]
        assert sum(rank == 1 for rank in ranks) / len(ranks) >= first, strategy
        assert sum(rank is not None and rank <= 5 for rank in ranks) / len(ranks) >= fifth, strategy
    _, *ours = await retrieval_bench.citations_scored(library, collection, names)
    for way in ours:
        assert way.right / way.cited >= 0.9, way.name
        assert way.found / way.answers >= 0.9, way.name
        assert way.beside / way.answers <= 0.1, way.name
    await library.aclose()
