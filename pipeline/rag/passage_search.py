"""Finds passages for a question, in the four ways that there are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.rag.embeddings.embedder import Embedder, Vectors
from pipeline.rag.embeddings.embedding_models import EmbeddingModels
from pipeline.rag.keywords import asked as looked_for
from pipeline.rag.store.passage_store import Hit, PassageStore, StoredPassage
from schemas.settings.retrieval_settings import (
    CollectionId,
    EmbeddingModel,
    Passage,
    SearchToolConfig,
    Strategy,
)

_DAMPING: Final = 60
"""The paper's constant: how little the very first places count more than the next."""


def fused(rankings: Iterable[Sequence[Hit]]) -> list[Hit]:
    """Reciprocal rank fusion: a passage's score is the sum of 1 / (60 + its rank) over the rankings it is in.

    Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods", SIGIR 2009. Ranks need no common scale, which cosines and BM25 do not have.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.chunk] = scores.get(hit.chunk, 0.0) + 1 / (_DAMPING + rank)
    return sorted(
        (Hit(chunk, score) for chunk, score in scores.items()), key=lambda hit: (-hit.score, hit.chunk)
    )


_LONGEST: Final = 2_000
"""So much of a question is looked at."""
_WORDS: Final = 0.02
"""Score that the best passage by words gets for them in the second stage. As the judge's cosines are
close together, this decides between neighbours and no more."""


_Groups = dict[str, list[CollectionId]]
"""Collections by the model that they are embedded by."""


class _Asked:
    """A question, embedded at most once by each model."""

    def __init__(self, text: str, models: EmbeddingModels) -> None:
        self.text = text
        self._models = models
        self._vectors: dict[str, Vectors] = {}

    async def by(self, model: Embedder) -> Vectors:
        """One row."""
        if model.name not in self._vectors:
            self._vectors[model.name] = await self._models.question(model, self.text)
        return self._vectors[model.name]


class Search:
    """Searches the collections of one store. Changes nothing."""

    def __init__(
        self, store: PassageStore, models: EmbeddingModels, *, wide_k: int, judge: EmbeddingModel | None
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
        asked = _Asked(question[:_LONGEST].strip(), self._models)
        groups = await self._by_model(collections)
        if not asked.text or not groups:
            return []
        wide = max(self._wide_k, config.top_k)
        match config.strategy:
            case "keyword":
                hits = await self._by_words(asked, collections, config.top_k)
            case "vector":
                hits = await self._by_meaning(asked, groups, config.top_k)
            case "hybrid":
                hits = fused(await self._by_both(asked, groups, wide))[: config.top_k]
            case "two_stage":
                return (await self._in_two_stages(asked, groups, wide))[: config.top_k]
        return _passages(await self._stored(hits), hits, config.strategy)

    async def _by_model(self, collections: Sequence[CollectionId]) -> _Groups:
        groups: _Groups = {}
        for which in dict.fromkeys(collections):
            groups.setdefault(await self._store.embedding(which), []).append(which)
        return groups

    async def _by_words(self, asked: _Asked, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        return await self._store.matching(looked_for(asked.text), collections, k)

    async def _by_meaning(self, asked: _Asked, groups: _Groups, k: int) -> list[Hit]:
        """By cosine; where collections have different models, joined by ranks, since cosines differ too."""
        rankings = []
        for embedding, members in groups.items():
            model = await self._models.named(embedding)
            rankings.append(await self._store.nearest(await asked.by(model), members, k))
        return rankings[0] if len(rankings) == 1 else fused(rankings)[:k]

    async def _by_both(self, asked: _Asked, groups: _Groups, wide: int) -> tuple[list[Hit], list[Hit]]:
        words = await self._by_words(asked, [one for members in groups.values() for one in members], wide)
        return words, await self._by_meaning(asked, groups, wide)

    async def _in_two_stages(self, asked: _Asked, groups: _Groups, wide: int) -> list[Passage]:
        """Many by both kinds of search, then by the judge's cosine, with a little for words in common."""
        rankings = await self._by_both(asked, groups, wide)
        hits = fused(rankings)
        stored = await self._stored(hits)
        if self._judge is not None:
            judge = await self._models.get(self._judge)
            question = (await asked.by(judge))[0]
            words = {hit.chunk: hit.score for hit in rankings[0]}
            most = max(words.values(), default=1.0) or 1.0
            hits = [
                Hit(
                    one.chunk,
                    _cosine(one, judge.name, question) + _WORDS * words.get(one.chunk, 0.0) / most,
                )
                for one in stored.values()
            ]
            hits.sort(key=lambda hit: (-hit.score, hit.chunk))
        return _passages(stored, hits, "two_stage")

    async def _stored(self, hits: Sequence[Hit]) -> dict[int, StoredPassage]:
        return {one.chunk: one for one in await self._store.passages([hit.chunk for hit in hits])}


def _cosine(stored: StoredPassage, judge: str, question: Vectors) -> float:
    """How near a passage is to the question for the judge; what it has not seen comes last."""
    if stored.embedding == judge:
        return float(question @ stored.vector)
    if stored.judge == judge and stored.judged is not None:
        return float(question @ stored.judged)
    return -1.0


def _passages(stored: Mapping[int, StoredPassage], hits: Sequence[Hit], strategy: Strategy) -> list[Passage]:
    return [_passage(stored[hit.chunk], hit.score, strategy) for hit in hits if hit.chunk in stored]


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
