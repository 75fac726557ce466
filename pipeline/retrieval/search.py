"""Finds passages for a question, in the four ways that there are."""

from collections.abc import Awaitable, Sequence
from typing import Final

import anyio

from pipeline.retrieval.embedding import Vectors
from pipeline.retrieval.fusion import fused
from pipeline.retrieval.models import Models
from pipeline.retrieval.store import Hit, PassageStore, StoredPassage
from pipeline.retrieval.words import asked
from schemas.retrieval import CollectionId, EmbeddingModel, Passage, SearchToolConfig, Strategy

_LONGEST: Final = 2_000
"""So much of a question is looked at."""


class Search:
    """Searches the collections of one store. Changes nothing."""

    def __init__(
        self, store: PassageStore, models: Models, *, wide_k: int, judge: EmbeddingModel | None
    ) -> None:
        self._store = store
        self._models = models
        self._wide_k = wide_k
        self._judge = judge

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]:
        """The best passages, best first. Nothing is found where there is nothing; that is no error.

        Raises CollectionNotFound and RetrievalUnavailable.
        """
        question = question[:_LONGEST].strip()
        if not question or not collections:
            return []
        wide = max(self._wide_k, config.top_k)
        match config.strategy:
            case "keyword":
                hits = await self._by_words(question, collections, config.top_k)
            case "vector":
                hits = await self._by_meaning(question, collections, config.top_k)
            case "hybrid" | "two_stage":
                hits = (await self._by_both(question, collections, wide))[:wide]
        stored = await self._store.passages([hit.chunk for hit in hits])
        scores = {hit.chunk: hit.score for hit in hits}
        if config.strategy == "two_stage":
            scores = await self._judged(question, stored, scores)
            stored.sort(key=lambda one: -scores[one.chunk])
        return [_passage(one, scores[one.chunk], config.strategy) for one in stored[: config.top_k]]

    async def _by_words(self, question: str, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        return await self._store.matching(asked(question), collections, k)

    async def _by_meaning(self, question: str, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        """By cosine; where collections have different models, joined by ranks, since cosines differ too."""
        groups: dict[str, list[CollectionId]] = {}
        for which in dict.fromkeys(collections):
            groups.setdefault((await self._store.collection(which)).embedding, []).append(which)
        rankings = []
        for embedding, members in groups.items():
            model = await self._models.named(embedding)
            asked_for = await self._models.question(model, question)
            rankings.append(await self._store.nearest(asked_for, members, k))
        return rankings[0] if len(rankings) == 1 else fused(rankings)[:k]

    async def _by_both(self, question: str, collections: Sequence[CollectionId], wide: int) -> list[Hit]:
        rankings: list[list[Hit]] = [[], []]

        async def look(place: int, hits: Awaitable[list[Hit]]) -> None:
            rankings[place] = await hits

        async with anyio.create_task_group() as both:
            both.start_soon(look, 0, self._by_words(question, collections, wide))
            both.start_soon(look, 1, self._by_meaning(question, collections, wide))
        return fused(rankings)

    async def _judged(
        self, question: str, stored: Sequence[StoredPassage], scores: dict[int, float]
    ) -> dict[int, float]:
        """The mean of both models' cosines; passages that the second model has not seen stay behind."""
        if self._judge is None:
            return scores
        judge = await self._models.get(self._judge)
        asked_judge = (await self._models.question(judge, question))[0]
        asked_first: dict[str, Vectors] = {}
        judged: dict[int, float] = {}
        for one in stored:
            if one.embedding not in asked_first:
                model = await self._models.named(one.embedding)
                asked_first[one.embedding] = (await self._models.question(model, question))[0]
            if one.judged is None or one.judge != judge.name:
                judged[one.chunk] = scores[one.chunk] - 1
            else:
                first = float(asked_first[one.embedding] @ one.vector)
                judged[one.chunk] = (first + float(asked_judge @ one.judged)) / 2
        return judged


def _passage(stored: StoredPassage, score: float, strategy: Strategy) -> Passage:
    return Passage(
        collection=stored.collection,
        document=stored.document,
        title=stored.title,
        media_type=stored.media_type,
        page=stored.page,
        headings=stored.headings,
        start=stored.start,
        end=stored.end,
        text=stored.text,
        score=score,
        strategy=strategy,
    )
