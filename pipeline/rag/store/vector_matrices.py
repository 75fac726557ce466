"""The vectors of collections in memory, as one matrix each, so that a question is one multiplication."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.store.passage_store import Hit
from schemas.settings.retrieval_settings import CollectionId

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Vectors with the passages and the documents (by the store's numbers) that they belong to."""

    chunks: Numbers
    documents: Numbers
    vectors: Vectors

    def of(self, documents: Collection[int]) -> "Block":
        """Only these documents."""
        kept = np.isin(self.documents, np.fromiter(documents, np.int64, len(documents)))
        return Block(self.chunks[kept], self.documents[kept], self.vectors[kept])


def joined(blocks: Iterable[Block], dimensions: int) -> Block:
    """All rows after each other."""
    parts = [empty(dimensions), *blocks]
    return Block(
        np.concatenate([part.chunks for part in parts]),
        np.concatenate([part.documents for part in parts]),
        np.concatenate([part.vectors for part in parts]),
    )


def empty(dimensions: int) -> Block:
    none = np.zeros(0, np.int64)
    return Block(none, none, np.zeros((0, dimensions), np.float32))


def best(question: Vectors, blocks: Iterable[Block], k: int) -> list[Hit]:
    """The `k` rows with the largest product, best first; of equals the one that was added first."""
    found: list[Hit] = []
    for block in blocks:
        if not len(block.chunks):
            continue
        scores = (block.vectors @ question[0]).astype(np.float32)
        most = min(k, len(scores))
        places = np.argpartition(-scores, most - 1)[:most]
        found += [Hit(int(block.chunks[place]), float(scores[place])) for place in places]
        found = sorted(found, key=lambda hit: (-hit.score, hit.chunk))[:k]
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    revision: int
    block: Block


class Matrices:
    """Keeps what was read, up to `most_bytes` in all; what was not asked for longest goes first.

    Thread-safe. A kept matrix is only used for the revision that it was read at.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes: Final = most_bytes
        self._kept: OrderedDict[CollectionId, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def fits(self, rows: int, dimensions: int) -> bool:
        """May a collection of this size be kept at all?"""
        return rows * dimensions * 4 <= self._most_bytes

    def kept(self, collection: CollectionId, revision: int) -> Block | None:
        """The collection, if it is here at just this revision."""
        with self._lock:
            kept = self._kept.get(collection)
            if kept is None or kept.revision != revision:
                return None
            self._kept.move_to_end(collection)
            return kept.block

    def at(
        self,
        collection: CollectionId,
        revision: int,
        dimensions: int,
        documents: Callable[[], Collection[int]],
        load: Callable[[Collection[int]], Block],
    ) -> Block:
        """The collection at `revision`. `load` is asked only for documents that are not here yet."""
        if (same := self.kept(collection, revision)) is not None:
            return same
        old, missing = self.without(collection, documents(), dimensions)
        block = joined([old, load(missing)] if missing else [old], dimensions)
        self.keep(collection, revision, block)
        return block

    def without(
        self, collection: CollectionId, documents: Collection[int], dimensions: int
    ) -> tuple[Block, set[int]]:
        """Matrices of a collection's documents that are cached, and the documents that are missing."""
        with self._lock:
            kept = self._kept.get(collection)
        current = set(documents)
        old = kept.block.of(current) if kept else empty(dimensions)
        return old, current.difference(old.documents.tolist())

    def keep(self, collection: CollectionId, revision: int, block: Block) -> None:
        """Stores what was read at `revision`; a newer one that is cached already stays."""
        with self._lock:
            current = self._kept.get(collection)
            if current is None or current.revision <= revision:
                self._kept[collection] = _Kept(revision, block)
            self._kept.move_to_end(collection)
            while sum(one.block.vectors.nbytes for one in self._kept.values()) > self._most_bytes:
                self._kept.popitem(last=False)
