"""Vectors in memory: read once, believed only for what is in the store now, and bounded."""

from collections.abc import Collection

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rag.store.vector_matrices import Block, Matrices, best, joined
from schemas.settings.retrieval_settings import CollectionId

_BEES = CollectionId("bees")


class Disk:
    """Documents of two passages each, and what was read of them."""

    def __init__(self) -> None:
        self.documents = {1, 2, 3}
        self.read: list[set[int]] = []

    def load(self, numbers: Collection[int]) -> Block:
        self.read.append(set(numbers))
        return joined((block(number) for number in sorted(numbers)), 2)

    def of(self, kept: Matrices, revision: int, which: CollectionId = _BEES) -> set[int]:
        found = kept.at(which, revision, 2, lambda: self.documents, self.load)
        return set(found.documents.tolist())


def block(document: int) -> Block:
    chunks = np.array([document * 10, document * 10 + 1], np.int64)
    return Block(chunks, np.full(2, document, np.int64), np.array([[document, 0], [0, document]], np.float32))


def test_only_new_documents_are_read_and_removed_ones_are_forgotten() -> None:
    disk, kept = Disk(), Matrices(1_000)
    assert disk.of(kept, 1) == {1, 2, 3}
    assert disk.of(kept, 1) == {1, 2, 3}
    disk.documents = {2, 3, 4}
    assert disk.of(kept, 2) == {2, 3, 4}
    assert disk.read == [{1, 2, 3}, {4}]


def test_an_older_state_is_read_right_and_does_not_stay() -> None:
    disk, kept = Disk(), Matrices(1_000)
    disk.of(kept, 5)
    disk.documents = {1}
    assert disk.of(kept, 4) == {1}
    disk.documents = {1, 2, 3}
    assert disk.of(kept, 5) == {1, 2, 3}
    assert disk.read == [{1, 2, 3}]


def test_the_matrix_unused_for_longest_goes_first() -> None:
    disk, kept = Disk(), Matrices(2 * 6 * 2 * 4)  # two collections of six vectors
    others = [CollectionId(name) for name in ("a", "b", "c")]
    for which in others:
        disk.of(kept, 1, which)
    disk.of(kept, 1, others[2])
    disk.of(kept, 1, others[0])
    assert len(disk.read) == 4
    assert not kept.fits(13, 2)


@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2), max_size=30), st.integers(1, 12)
)
def test_the_best_are_those_of_a_full_sort(rows: list[list[float]], k: int) -> None:
    vectors = np.array(rows, np.float32).reshape(-1, 2)
    numbers = np.arange(len(rows), dtype=np.int64)
    halves = [Block(part, part, vectors[part]) for part in np.array_split(numbers, 3)]
    question = np.array([[0.6, 0.8]], np.float32)
    expected = sorted((vectors @ question[0]).tolist(), reverse=True)[:k]
    assert np.allclose([hit.score for hit in best(question, halves, k)], expected, atol=1e-6)
