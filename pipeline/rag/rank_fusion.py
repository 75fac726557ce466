"""Several rankings made one, by ranks alone."""

from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.rag.store.passage_store import Hit

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
