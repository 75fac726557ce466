"""Contract of every store of passages; a class of tests for each store to inherit."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import numpy as np
import pytest

from pipeline.rag.chunking import DocumentChunk
from pipeline.rag.embeddings.embedder import unit
from pipeline.rag.store.passage_store import Hit, NewDocument, PassageStore
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentNotFound
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId, DocumentId, DocumentView

DIMENSIONS = 4
BEES = (1.0, 0.0, 0.0, 0.0)
TRAINS = (0.0, 1.0, 0.0, 0.0)
BREAD = (0.0, 0.0, 1.0, 0.0)

Opened = Callable[[], AbstractAsyncContextManager[PassageStore]]


def document(
    collection: CollectionId,
    passages: Sequence[tuple[str, tuple[float, ...]]],
    *,
    which: DocumentId | None = None,
    judged: bool = True,
) -> NewDocument:
    """A document of these passages, each with its vector; their words are their terms."""
    text = "\n\n".join(passage for passage, _ in passages)
    cut, start = [], 0
    for number, (passage, _) in enumerate(passages, start=1):
        cut.append(DocumentChunk(start, start + len(passage), passage, number, ("Chapter", f"Part {number}")))
        start += len(passage) + 2
    vectors = unit(np.array([vector for _, vector in passages], np.float32))
    view = DocumentView(
        id=which or DocumentId(new_id()),
        collection=collection,
        title="A title",
        media_type="text/plain",
        name="file.txt",
        language="en",
        characters=len(text),
        chunks=len(cut),
        sha256="0" * 64,
    )
    terms = [passage.lower().split() for passage, _ in passages]
    return NewDocument(
        view, text, cut, terms, vectors, "judge" if judged else "", vectors * 0.5 if judged else None
    )


async def texts(store: PassageStore, hits: Sequence[Hit]) -> list[str]:
    return [found.text for found in await store.passages([hit.chunk for hit in hits])]


class PassageStoreContract:
    """`opened` opens the same store each time; `store` is it, open, with nothing in it."""

    @pytest.fixture
    async def store(self, opened: Opened) -> AsyncGenerator[PassageStore, None]:
        async with opened() as store:
            yield store

    @pytest.fixture
    async def bees(self, store: PassageStore) -> CollectionId:
        return await self._collection(store)

    async def _collection(self, store: PassageStore) -> CollectionId:
        which = CollectionId(new_id())
        await store.create(which, "a name", "model", DIMENSIONS)
        return which

    @pytest.mark.anyio
    async def test_a_collection_is_what_it_was_made_as(self, store: PassageStore) -> None:
        which = CollectionId(new_id())
        made = await store.create(which, "Bees", "model", DIMENSIONS)
        assert (made.id, made.name, made.embedding, made.documents, made.chunks) == (
            which,
            "Bees",
            "model",
            0,
            0,
        )
        assert await store.create(which, "Wasps", "other", 9) == made
        assert await store.collection(which) == made
        assert await store.embedding(which) == "model"
        assert await store.collections() == [made]

    @pytest.mark.anyio
    async def test_absent_collections_and_documents_are_said_to_be_missing(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        nowhere, nothing = CollectionId(new_id()), DocumentId(new_id())
        for asked_for in (
            store.collection(nowhere),
            store.embedding(nowhere),
            store.documents(nowhere),
            store.remove(nowhere, nothing),
        ):
            with pytest.raises(CollectionNotFound):
                await asked_for
        with pytest.raises(CollectionNotFound):
            await store.put(document(nowhere, [("a", BEES)]))
        with pytest.raises(DocumentNotFound):
            await store.text(bees, nothing)
        assert not await store.remove(bees, nothing)
        assert not await store.drop(nowhere)

    @pytest.mark.anyio
    async def test_a_document_comes_back_as_it_was_given(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        new = document(bees, [("Bees fly. 👍 漢", BEES), ("Bread rises.", BREAD)])
        await store.put(new)
        assert await store.documents(bees) == [new.view]
        assert await store.text(bees, new.view.id) == new.text
        (hit,) = await store.nearest(unit(np.array([BREAD], np.float32)), [bees], 1)
        (found,) = await store.passages([hit.chunk])
        assert hit.score == pytest.approx(1.0)
        assert (found.collection, found.document, found.title) == (bees, new.view.id, "A title")
        assert (found.page, found.headings) == (2, ("Chapter", "Part 2"))
        assert new.text[found.start : found.end] == found.text == "Bread rises."
        assert (found.embedding, found.judge) == ("model", "judge")
        assert found.vector.tolist() == [0, 0, 1, 0]
        assert found.judged is not None
        assert found.judged.tolist() == [0, 0, 0.5, 0]

    @pytest.mark.anyio
    async def test_a_document_need_not_have_been_judged(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        await store.put(document(bees, [("Bees", BEES)], judged=False))
        (hit,) = await store.matching(["bees"], [bees], 5)
        (found,) = await store.passages([hit.chunk])
        assert (found.judge, found.judged) == ("", None)

    @pytest.mark.anyio
    async def test_passages_are_found_by_meaning(self, store: PassageStore, bees: CollectionId) -> None:
        await store.put(document(bees, [("bees", BEES), ("trains", TRAINS), ("both", (2.0, 1.0, 0.0, 0.0))]))
        question = unit(np.array([(1.0, 0.2, 0.0, 0.0)], np.float32))
        hits = await store.nearest(question, [bees], 2)
        assert await texts(store, hits) == ["bees", "both"]
        assert hits[0].score > hits[1].score

    @pytest.mark.anyio
    async def test_passages_are_found_by_words(self, store: PassageStore, bees: CollectionId) -> None:
        passages = [
            ("honey honey honey", BEES),
            ("honey and very many other words beside it", BEES),
            ("rye", BREAD),
        ]
        await store.put(document(bees, passages))
        hits = await store.matching(["honey", "zebra"], [bees], 5)
        assert await texts(store, hits) == ["honey honey honey", "honey and very many other words beside it"]
        assert hits[0].score > hits[1].score

    @pytest.mark.anyio
    async def test_a_rare_word_tells_more_than_a_common_one(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        common = [(f"honey number {number}", BEES) for number in range(8)]
        await store.put(document(bees, [*common, ("propolis is rare", BEES)]))
        hits = await store.matching(["honey", "propolis"], [bees], 3)
        assert (await texts(store, hits))[0] == "propolis is rare"

    @pytest.mark.anyio
    async def test_documents_of_others_change_no_score(self, store: PassageStore, bees: CollectionId) -> None:
        """Else anybody could ask which words are in documents that are not theirs."""
        await store.put(document(bees, [("qzfish in the bay", BEES), ("tides and nets", TRAINS)]))
        before = await store.matching(["qzfish", "nets"], [bees], 5)
        other = await self._collection(store)
        await store.put(document(other, [(f"qzfish number {n} and nets", BEES) for n in range(40)]))
        assert await store.matching(["qzfish", "nets"], [bees], 5) == before
        both = await store.matching(["qzfish"], [bees, other], 50)
        assert len(both) == 41
        await store.drop(other)
        assert await store.matching(["qzfish", "nets"], [bees], 5) == before

    @pytest.mark.anyio
    async def test_a_score_is_bm25_over_the_collections_that_are_searched(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        await store.put(document(bees, [("honey honey rye", BEES), ("rye", BREAD), ("salt " * 300, BREAD)]))
        (hit,) = await store.matching(["honey"], [bees], 5)
        usual = (3 + 1 + 300) / 3
        rare = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
        assert hit.score == pytest.approx(rare * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / usual)))

    @pytest.mark.anyio
    @pytest.mark.parametrize("terms", [[], ['"'], ["NEAR(", "zebra*"], ["a:b", "--", "'; DROP TABLE chunks"]])
    async def test_any_words_may_be_asked_for(
        self, store: PassageStore, bees: CollectionId, terms: list[str]
    ) -> None:
        await store.put(document(bees, [("honey", BEES)]))
        assert await store.matching(terms, [bees], 5) == []

    @pytest.mark.anyio
    async def test_only_the_collections_that_are_asked_are_searched(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        other, third = await self._collection(store), await self._collection(store)
        for which, text in [(bees, "bees one"), (other, "bees two"), (third, "bees three")]:
            await store.put(document(which, [(text, BEES)]))
        question = unit(np.array([BEES], np.float32))
        for asked_for, expected in [
            ([other], ["bees two"]),
            ([bees, third], ["bees one", "bees three"]),
            ([CollectionId(new_id())], []),
            ([], []),
        ]:
            assert sorted(await texts(store, await store.nearest(question, asked_for, 5))) == expected
            assert sorted(await texts(store, await store.matching(["bees"], asked_for, 5))) == expected

    @pytest.mark.anyio
    async def test_a_removed_document_is_not_found_any_more(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        gone, stays = document(bees, [("bees fly", BEES)]), document(bees, [("bees sleep", BEES)])
        await store.put(gone)
        await store.put(stays)
        question = unit(np.array([BEES], np.float32))
        before = await store.nearest(question, [bees], 5)
        assert len(before) == 2
        assert await store.remove(bees, gone.view.id)
        assert await texts(store, await store.nearest(question, [bees], 5)) == ["bees sleep"]
        assert await texts(store, await store.matching(["bees"], [bees], 5)) == ["bees sleep"]
        assert await texts(store, before) == ["bees sleep"]
        assert await store.documents(bees) == [stays.view]
        with pytest.raises(DocumentNotFound):
            await store.text(bees, gone.view.id)

    @pytest.mark.anyio
    async def test_adding_a_document_again_replaces_it(self, store: PassageStore, bees: CollectionId) -> None:
        first = document(bees, [("bees fly", BEES), ("bees dance", BEES)])
        await store.put(first)
        await store.nearest(unit(np.array([BEES], np.float32)), [bees], 5)
        await store.put(document(bees, [("bees rest", BEES)], which=first.view.id))
        assert await texts(store, await store.nearest(unit(np.array([BEES], np.float32)), [bees], 5)) == [
            "bees rest"
        ]
        assert await texts(store, await store.matching(["bees"], [bees], 5)) == ["bees rest"]
        view = await store.collection(bees)
        assert (view.documents, view.chunks) == (1, 1)

    @pytest.mark.anyio
    async def test_one_document_may_be_in_two_collections(
        self, store: PassageStore, bees: CollectionId
    ) -> None:
        other, which = await self._collection(store), DocumentId(new_id())
        await store.put(document(bees, [("here", BEES)], which=which))
        await store.put(document(other, [("there", BEES)], which=which))
        assert await store.text(bees, which) == "here"
        assert await store.remove(other, which)
        assert await store.text(bees, which) == "here"

    @pytest.mark.anyio
    async def test_a_dropped_collection_leaves_nothing(self, store: PassageStore, bees: CollectionId) -> None:
        await store.put(document(bees, [("bees", BEES)]))
        assert await store.drop(bees)
        with pytest.raises(CollectionNotFound):
            await store.collection(bees)
        assert await store.matching(["bees"], [bees], 5) == []
        assert await store.collections() == []

    @pytest.mark.anyio
    async def test_everything_is_there_after_a_restart(self, opened: Opened) -> None:
        async with opened() as store:
            which = await self._collection(store)
            await store.put(document(which, [("bees", BEES)]))
        async with opened() as store:
            assert (await store.collection(which)).chunks == 1
            assert await texts(store, await store.matching(["bees"], [which], 5)) == ["bees"]
            assert len(await store.nearest(unit(np.array([BEES], np.float32)), [which], 5)) == 1

    @pytest.mark.anyio
    async def test_every_change_by_one_store_is_seen_by_another_at_once(self, opened: Opened) -> None:
        question = unit(np.array([BEES], np.float32))
        async with opened() as one, opened() as other:
            which = await self._collection(one)
            assert await other.nearest(question, [which], 9) == []
            new = document(which, [("bees", BEES)])
            await one.put(new)
            assert await texts(other, await other.nearest(question, [which], 9)) == ["bees"]
            await other.remove(which, new.view.id)
            assert await one.nearest(question, [which], 9) == []

    @pytest.mark.anyio
    async def test_many_may_write_at_once(self, opened: Opened) -> None:
        async with opened() as one, opened() as other:
            which = await self._collection(one)
            async with asyncio.TaskGroup() as writers:
                for number in range(20):
                    store = one if number % 2 else other
                    writers.create_task(store.put(document(which, [(f"bees {number}", BEES)])))
            view = await one.collection(which)
            assert (view.documents, view.chunks) == (20, 20)
            assert len(await other.nearest(unit(np.array([BEES], np.float32)), [which], 50)) == 20
