"""Port of the stores that keep documents and find passages."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.rag.chunking import DocumentChunk
from pipeline.rag.embeddings.embedder import Vectors
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.settings.retrieval_settings import (
    CollectionId,
    CollectionView,
    DocumentId,
    DocumentView,
    MediaType,
)

log = logging.getLogger(__name__)


def unusable(error: Exception) -> RetrievalUnavailable:
    """A store's refusal. The process's log says which error of SQLite, PostgreSQL or the system it is."""
    codes = (getattr(error, name, None) for name in ("sqlite_errorname", "sqlstate", "strerror"))
    code = next(filter(None, codes), "")
    log.warning("the store of the documents cannot be used: %s %s", type(error).__name__, code)
    return RetrievalUnavailable("The store of the documents cannot be used now.")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document with everything by which it will be found."""

    view: DocumentView
    text: str
    chunks: Sequence[DocumentChunk]
    terms: Sequence[Sequence[str]]
    """The words of each chunk, as `pipeline.rag.keywords.terms` gives them."""
    vectors: Vectors
    """One row for each chunk."""
    judge: str = ""
    """The model of `judged`."""
    judged: Vectors | None = None
    """One row for each chunk by the second stage's model, if that is another."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, by its number in the store, and how well it fits: larger is better."""

    chunk: int
    score: float


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as it is kept."""

    chunk: int
    collection: CollectionId
    document: DocumentId
    title: str
    media_type: MediaType
    page: int | None
    headings: tuple[str, ...]
    start: int
    end: int
    text: str
    embedding: str
    vector: Vectors
    judge: str
    judged: Vectors | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Place of a character in its document."""

    page: int | None = None
    headings: tuple[str, ...] = ()


class PassageStore(Protocol):
    """Documents in collections. Several processes may use the same store at once.

    A document is there with all of its passages, or not at all, whatever happens to the process that adds it.
    Every later call of any process sees what a call has returned from. Raises RetrievalUnavailable when the
    store cannot be used.
    """

    async def create(
        self, collection: CollectionId, name: str, embedding: str, dimensions: int
    ) -> CollectionView:
        """Begin a collection for vectors of this model; one that is there is left as it is."""
        ...

    async def collection(self, collection: CollectionId) -> CollectionView:
        """Raises CollectionNotFound."""
        ...

    async def embedding(self, collection: CollectionId) -> str:
        """The name of a collection's model, without counting what is in it. Raises CollectionNotFound."""
        ...

    async def collections(self) -> list[CollectionView]:
        """All, the oldest first."""
        ...

    async def drop(self, collection: CollectionId) -> bool:
        """Forget a collection and all in it. False: there was none."""
        ...

    async def put(self, document: NewDocument) -> None:
        """Add a document, in place of the one of the same id. Raises CollectionNotFound."""
        ...

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        """Forget a document. False: there was none."""
        ...

    async def scrub(self) -> bool:
        """Remove what was deleted from the store's files, too. False: some of it may still be in them."""
        ...

    async def documents(self, collection: CollectionId) -> list[DocumentView]:
        """All of a collection, in the order of their adding."""
        ...

    async def text(self, collection: CollectionId, document: DocumentId) -> str:
        """The whole extracted text. Raises DocumentNotFound."""
        ...

    async def around(self, collection: CollectionId, document: DocumentId, at: int) -> Surroundings:
        """Of the character `at`: those of the last passage that begins there or before."""
        ...

    async def nearest(self, question: Vectors, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        """The passages whose vectors have the smallest angle to `question`'s one row, best first.

        Exact: every passage of the collections is compared. The score is the cosine.
        """
        ...

    async def matching(self, terms: Sequence[str], collections: Sequence[CollectionId], k: int) -> list[Hit]:
        """The passages that have any of the words, best first by BM25."""
        ...

    async def passages(self, chunks: Sequence[int]) -> list[StoredPassage]:
        """In the order asked for; without those that are no longer there."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections."""
        ...
